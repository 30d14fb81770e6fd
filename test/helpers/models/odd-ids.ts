/** Product ids that parsers of URLs, routers and clients might take for something else. Tests only; data. */
// biome-ignore format: one id a line would take pages
export const ODD_IDS: readonly string[] = [
  '...', '.. ', ' ..', '. .', '.%2e', '%2e', '%2E%2e', '%252e', '%', '%%', '%2', '%2F', '%25', '%00', 'a/b', '/', '//',
  '../x', './x', 'x/..', '/..', '..\\', '\\', 'a\\..\\b', '?', '#', 'a?b', 'a#b', ';', 'a;b=1', '~', '%7E', '+', ' ',
  'a b', '&', '=', ':', 'c:', '@', '[', ']', '{id}', '*', ':id', '(a)', "'", '"', '<', '>', '|', '^', '`', '\u00a0',
  '\u2028', '\ufeff', '\uffff', 'é', 'e\u0301', 'ﬁ', '．', '。', '‥', '\u202e', '😀', '__proto__', 'constructor', 'batch',
  'products', 'null',
];
