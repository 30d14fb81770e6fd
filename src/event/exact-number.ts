/**
 * Whether a double is the number that was sent, and not only near it. Main thread; pure functions.
 *
 * It is, when the double, written with as many significant digits as were sent, gives them back: so
 * 49.990000000000002 is 49.99 from a client that prints 17 digits, and 9007199254740993 is no double.
 * Zeros before and behind the others are no digits of their own. Up to 15 digits always fit (in the range
 * of normal doubles), so nobody asks here for plain numbers.
 */

/** The most that toPrecision takes; a number with more digits is none that a program holds as a double. */
const PRECISION_MAX = 100;
/** Numbers of so many significant digits always fit. */
const EXACT_DIGITS_MAX = 15;
const SHOWN_CHARS_MAX = 40;

const NUMBER = /^-?(\d+)(?:\.(\d+))?(?:[eE]([+-]?\d+))?$/;

/** 0.`digits` × 10^`point`; no digits = zero. */
interface Decimal {
  readonly digits: string;
  readonly point: number;
}

/** Tells whether `value`, what Number() makes of the JSON number `source`, is the number in `source`. */
export function isExact(source: string, value: number): boolean {
  if (source === String(value)) return true;
  if (!Number.isFinite(value)) return false;
  const sent = decimalOf(source);
  const precision = sent.digits.length;
  if (precision === 0 || value === 0) return precision === 0 && value === 0;
  if (precision > PRECISION_MAX) return false;
  if (isSame(decimalOf(value.toPrecision(precision)), sent)) return true;
  // Half way between two, toPrecision takes the larger one and C's printf the even one.
  const whole = decimalOf(value.toPrecision(PRECISION_MAX));
  return isSame(whole, { digits: `${sent.digits}5`, point: sent.point });
}

/** The sentence for a member `name` whose number `source` became `value`. */
export function inexactDetail(name: string, source: string, value: number): string {
  const shown = source.length > SHOWN_CHARS_MAX ? `${source.slice(0, SHOWN_CHARS_MAX)}…` : source;
  const hint =
    decimalOf(source).digits.length > EXACT_DIGITS_MAX
      ? ` Numbers of up to ${EXACT_DIGITS_MAX} digits always can.`
      : '';
  return `${name} can not be kept exactly: ${shown} would become ${value}.${hint}`;
}

function isSame(a: Decimal, b: Decimal): boolean {
  return a.digits === b.digits && a.point === b.point;
}

function decimalOf(text: string): Decimal {
  const [, whole = '', fraction = '', exponent = '0'] = NUMBER.exec(text) ?? [];
  const all = whole + fraction;
  let first = 0;
  while (all[first] === '0') first++;
  let end = all.length;
  while (end > first && all[end - 1] === '0') end--;
  return { digits: all.slice(first, end), point: whole.length - first + Number(exponent) };
}
