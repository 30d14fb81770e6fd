/**
 * Takes secrets out of a line of the log, whatever brought them there: passwords in URLs, credentials in
 * headers, tokens in queries and in members of JSON. Pure, main thread. What was JSON stays JSON: no
 * pattern goes past a quote or a backslash.
 */

const MASK = '***';
/** A name that ends in one of these is that of a secret. */
const NAMES =
  'authorization|cookie|password|passwd|pwd|secret|token|api[_-]?key|private[_-]?key|credentials?|signature|session(?:[_-]?id)?';

/** Each goes over a line once, whatever stands there: no repetition that a later one may begin in again. */
const RULES: readonly (readonly [pattern: RegExp, mask: string])[] = [
  // postgres://user:password@host
  [/:\/\/[^\s"'\\/?#]*@/g, `://${MASK}@`],
  [/\b(Bearer|Basic|Digest|Token)(\s{1,8})[\w.~+/=-]{6,}/gi, `$1$2${MASK}`],
  // A JSON Web Token, wherever it stands.
  [/\beyJ[\w-]{6,1024}\.[\w-]*(?:\.[\w-]*)?/g, MASK],
  // ?access_token=…&…, session=…;
  [new RegExp(`(${NAMES})=[^\\s&"'\\\\;,]+`, 'gi'), `$1=${MASK}`],
  // "authorization":"…", "set-cookie":["…"]
  [new RegExp(`(${NAMES})":(?:"(?:[^"\\\\]|\\\\.)*"|\\[[^\\]]{0,4096}\\])`, 'gi'), `$1":"${MASK}"`],
];

/** What makes a look worth it: most lines have none of it. */
const SUSPICIOUS = new RegExp(`://|eyJ|\\b(?:bearer|basic|digest|token)\\s|(?:${NAMES})["=]`, 'i');

export class Scrubber {
  /** As they stand in a text, and as in JSON. */
  readonly #secrets: readonly string[];

  /** `secrets` are masked wherever they stand, too. */
  constructor(secrets: readonly string[] = []) {
    const forms = secrets.flatMap((secret) => [secret, JSON.stringify(secret).slice(1, -1)]);
    this.#secrets = [...new Set(forms)].filter((form) => form !== '');
  }

  /** The line without them. */
  clean(line: string): string {
    let text = line;
    for (const secret of this.#secrets) text = text.replaceAll(secret, MASK);
    if (!SUSPICIOUS.test(text)) return text;
    for (const [pattern, mask] of RULES) text = text.replace(pattern, mask);
    return text;
  }
}
