/**
 * Whether a double is the number that was sent, and not only near it. Main thread; pure.
 *
 * It is, when the double, written with as many significant digits as were sent, gives them back: so
 * 49.990000000000002 is 49.99 from a client that prints 17 digits, and 9007199254740993 is no double.
 * Zeros before and behind the others do not count. Up to 15 digits always fit (in the range
 * of normal doubles), so plain numbers are not asked about.
 */

/** The most that toPrecision takes; no program writes more for a double. */
const PRECISION_MAX = 100;
/** Numbers of so many significant digits always fit. */
const EXACT_DIGITS_MAX = 15;
const SHOWN_CHARS_MAX = 40;

const MINUS = 0x2d;
const POINT = 0x2e;
const ZERO = 0x30;

/** Digits that `isNear` reads: what programs print that want a double back, in two integers. */
const HIGH_DIGITS = 9;
const NEAR_DIGITS_MAX = 17;
/** 10^0 … 10^22, all the powers of ten that a double has. */
const POWERS_OF_TEN = Float64Array.from({ length: 23 }, (_, i) => Number(`1e${i}`));
/** 2^27 + 1: splits a double into two halves of 26 bits (Veltkamp, 1968). */
const SPLITTER = 134_217_729;

const NUMBER = /^-?(\d+)(?:\.(\d+))?(?:[eE]([+-]?\d+))?$/;

/** 0.`digits` × 10^`point`; no digits = zero. */
interface Decimal {
  readonly digits: string;
  readonly point: number;
}

/** Whether `value`, what Number() makes of the JSON number `source`, is the number in `source`. */
export function isExact(source: string, value: number): boolean {
  if (isNear(source, value) || source === String(value)) return true;
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

/**
 * Whether `value` is clearly less than half a unit of its last digit from a plain `source` of up to 17
 * digits, and so exact. A tenth of what strings cost; false says nothing.
 */
function isNear(source: string, value: number): boolean {
  const point = source.indexOf('.');
  let end = source.length;
  if (point >= 0) while (source.charCodeAt(end - 1) === ZERO) end--;
  const decimals = point < 0 ? 0 : Math.max(0, end - point - 1);
  let digits = 0;
  let high = 0;
  let low = 0;
  for (let i = source.charCodeAt(0) === MINUS ? 1 : 0; i < end; i++) {
    const unit = source.charCodeAt(i);
    if (unit === POINT) continue;
    const digit = unit - ZERO;
    if (digit >>> 0 > 9) return false;
    if (digits > 0 || digit > 0) digits++;
    if (digits <= HIGH_DIGITS) high = high * 10 + digit;
    else low = low * 10 + digit;
  }
  if (digits > NEAR_DIGITS_MAX || decimals >= POWERS_OF_TEN.length) return false;
  // All of this is exact but for the last sum, which rounds towards neither side of 0.5.
  const sent = high * POWERS_OF_TEN[Math.max(0, digits - HIGH_DIGITS)];
  const size = Math.abs(value);
  const scale = POWERS_OF_TEN[decimals];
  const product = size * scale;
  return Math.abs(product - sent - low + roundingOf(size, scale, product)) < 0.5;
}

/** a × b − product, where product is a × b rounded (Dekker, 1971). */
function roundingOf(a: number, b: number, product: number): number {
  const aSplit = SPLITTER * a;
  const aHigh = aSplit - (aSplit - a);
  const aLow = a - aHigh;
  const bSplit = SPLITTER * b;
  const bHigh = bSplit - (bSplit - b);
  const bLow = b - bHigh;
  return aHigh * bHigh - product + aHigh * bLow + aLow * bHigh + aLow * bLow;
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
