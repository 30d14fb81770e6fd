/**
 * Which of the forms that a resource has a client wants, and in which coding: Accept and
 * Accept-Encoding, RFC 9110 sections 12.5.1 and 12.5.3. Main thread; pure functions.
 */

interface Preference {
  /** 0 … 1; 0 = not acceptable. */
  readonly quality: number;
  /** 3 = the type itself · 2 = any of its group · 1 = anything · 0 = no range names it. */
  readonly specificity: number;
}

const QUALITY = /^q\s*=\s*(0(?:\.\d{0,3})?|1(?:\.0{0,3})?)$/i;
const NOT_NAMED: Preference = { quality: 0, specificity: 0 };

/**
 * Returns which of `types` (lower case, the server's choice first) suits `header` best, or
 * `undefined` if none does. Without a header any does. Of equally wanted types the one that was named
 * more exactly wins, then the earlier one. Parameters of a media range other than q are passed over.
 */
export function preferredType<T extends string>(
  header: string | undefined,
  types: readonly T[],
): T | undefined {
  if (header === undefined || header.trim() === '') return types[0];
  const ranges = header.split(',').map(parseRange);
  let best: T | undefined;
  let bestWant = NOT_NAMED;
  for (const type of types) {
    const want = wantOf(type, ranges);
    const isBetter =
      want.quality > bestWant.quality ||
      (want.quality === bestWant.quality && want.specificity > bestWant.specificity);
    if (want.quality > 0 && isBetter) {
      best = type;
      bestWant = want;
    }
  }
  return best;
}

/**
 * Returns which of `codings` (the server's choice first) suits an Accept-Encoding `header` best;
 * `undefined`: none, send it as it is. Without a header none does: who can't say it may not decode it.
 * Plain is what is left where nothing suits, even if the header excludes that.
 */
export function preferredCoding<T extends string>(
  header: string | undefined,
  codings: readonly T[],
): T | undefined {
  if (header === undefined) return undefined;
  const ranges = header.split(',').map(parseRange);
  const weightOf = (name: string) => ranges.find(({ type }) => type === name)?.quality;
  const ofOthers = weightOf('*') ?? 0;
  let best: T | undefined;
  let bestWeight = weightOf('identity') ?? 0;
  for (const coding of codings) {
    // Old names of gzip and the like: RFC 9110 section 8.4.1.
    const weight = weightOf(coding) ?? weightOf(`x-${coding}`) ?? ofOthers;
    const isBetter = weight > bestWeight || (best === undefined && weight === bestWeight);
    if (weight > 0 && isBetter) {
      best = coding;
      bestWeight = weight;
    }
  }
  return best;
}

/** Whether `header`, an Accept, takes `type` by its own name. */
export function namesType(header: string | undefined, type: string): boolean {
  if (header === undefined) return false;
  return header.split(',').some((text) => {
    const range = parseRange(text);
    return range.type === type && range.quality > 0;
  });
}

interface MediaRange {
  readonly type: string;
  readonly quality: number;
}

function parseRange(text: string): MediaRange {
  const [type = '', ...parameters] = text.split(';').map((part) => part.trim());
  const q = parameters.find((parameter) => /^q\s*=/i.test(parameter));
  // A weight that can't be read says nothing, so the range counts as one without a weight.
  const quality = q === undefined ? 1 : Number(QUALITY.exec(q)?.[1] ?? 1);
  return { type: type.toLowerCase(), quality };
}

/** The most exact range decides, whatever its weight. */
function wantOf(type: string, ranges: readonly MediaRange[]): Preference {
  let want = NOT_NAMED;
  for (const range of ranges) {
    const specificity = specificityOf(range.type, type);
    if (specificity > want.specificity) want = { quality: range.quality, specificity };
  }
  return want;
}

function specificityOf(range: string, type: string): number {
  if (range === type) return 3;
  if (range === `${type.slice(0, type.indexOf('/'))}/*`) return 2;
  return range === '*/*' ? 1 : 0;
}
