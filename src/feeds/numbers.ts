/**
 * Numbers as people and programs write them: matched whole by a declared decimal mark, never half-read. The
 * other mark, blanks and apostrophes count as thousands marks, in groups of three only. Gives the number in
 * JSON's form, digit by digit, so that nothing is rounded on the way. Pure, any thread.
 */

export type DecimalMark = '.' | ',';

const PLAIN = /^(?:0|[1-9]\d*)(?:\.\d+)?$/;
const FORMS: Readonly<Record<DecimalMark, RegExp>> = {
  '.': /^([+-]?)(\d+|\d{1,3}(?:([,' \u00a0\u202f\u2019])\d{3})(?:\3\d{3})*)?(?:\.(\d*))?$/,
  ',': /^([+-]?)(\d+|\d{1,3}(?:([.' \u00a0\u202f\u2019])\d{3})(?:\3\d{3})*)?(?:,(\d*))?$/,
};
const NO_DIGIT = /\D/g;

/** The number in `text` in JSON's form; `undefined` = it is none. */
export function readDecimal(text: string, mark: DecimalMark): string | undefined {
  if (mark === '.' && PLAIN.test(text)) return text;
  // U+2212 is what typography takes for a minus.
  const match = FORMS[mark].exec(text.replace('\u2212', '-'));
  if (match === null) return undefined;
  const [, sign = '', grouped = '', , fraction = ''] = match;
  if (grouped === '' && fraction === '') return undefined;
  const whole = grouped.replaceAll(NO_DIGIT, '').replace(/^0+(?=\d)/, '') || '0';
  return (sign === '-' ? '-' : '') + whole + (fraction === '' ? '' : `.${fraction}`);
}

/** The whole number in `text`: `100.0000` is one, `12.5` is none. */
export function readWhole(text: string, mark: DecimalMark): string | undefined {
  const decimal = readDecimal(text, mark);
  if (decimal === undefined) return undefined;
  const [whole = '', fraction = ''] = decimal.split('.');
  if (/[^0]/.test(fraction)) return undefined;
  return whole === '-0' ? '0' : whole;
}

/** Which mark a number shows to be the decimal one, by itself: `12,5`, `1.234,50`; not `1.234`. */
export function markShownBy(text: string): DecimalMark | 'either' | 'none' {
  const marks = text.replaceAll(/[^.,]/g, '');
  if (marks === '') return 'none';
  const isPoint = readDecimal(text, '.') !== undefined;
  const isComma = readDecimal(text, ',') !== undefined;
  if (isPoint && isComma) return 'either';
  if (isPoint) return '.';
  return isComma ? ',' : 'none';
}

/** `a` × `b`, both in JSON's form, exactly; for factors and quantities of a few digits. */
export function product(a: string, b: string): string {
  const [x, y] = [scaled(a), scaled(b)];
  return unscaled(x.digits * y.digits, x.places + y.places);
}

/** `a` ÷ `b` if that has at most `placesMax` places behind the point; `undefined` else, and for b = 0. */
export function quotient(a: string, b: string, placesMax = 10): string | undefined {
  const [x, y] = [scaled(a), scaled(b)];
  if (y.digits === 0n) return undefined;
  const up = 10n ** BigInt(placesMax + y.places);
  const scaledUp = x.digits * up;
  const below = y.digits * 10n ** BigInt(x.places);
  if (scaledUp % below !== 0n) return undefined;
  return unscaled(scaledUp / below, placesMax);
}

function scaled(text: string): { readonly digits: bigint; readonly places: number } {
  const [whole = '', fraction = ''] = text.split('.');
  return { digits: BigInt(whole + fraction), places: fraction.length };
}

function unscaled(digits: bigint, places: number): string {
  const sign = digits < 0n ? '-' : '';
  const text = (digits < 0n ? -digits : digits).toString().padStart(places + 1, '0');
  const fraction = text.slice(text.length - places).replace(/0+$/, '');
  const whole = text.slice(0, text.length - places);
  return sign + whole + (places === 0 || fraction === '' ? '' : `.${fraction}`);
}
