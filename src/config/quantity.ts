/**
 * The grammar of the numbers in the configuration: integers, sizes in bytes and durations.
 * Pure text functions, any thread. Strict on purpose: no signs (but for integers that may be negative), fractions, exponents, leading
 * zeros, spaces or other spellings of a unit, so that a value never means something else than it
 * seems to. KB, MB, GB and TB are powers of 1024, like KiB, MiB, GiB and TiB.
 */

const BYTES_OF_UNIT: ReadonlyMap<string, number> = new Map([
  ['TB', 1024 ** 4],
  ['GB', 1024 ** 3],
  ['MB', 1024 ** 2],
  ['KB', 1024],
  ['TiB', 1024 ** 4],
  ['GiB', 1024 ** 3],
  ['MiB', 1024 ** 2],
  ['KiB', 1024],
  ['B', 1],
]);

const MS_OF_UNIT: ReadonlyMap<string, number> = new Map([
  ['h', 3_600_000],
  ['m', 60_000],
  ['s', 1_000],
  ['ms', 1],
]);

const WHOLE_NUMBER = /^(0|[1-9][0-9]*)([A-Za-z]*)$/;

/** Reads digits alone, `0` … 2^53−1; `undefined` for any other text. */
export function parseInteger(text: string): number | undefined {
  return parseScaled(text, (unit) => (unit === '' ? 1 : undefined));
}

/** Reads digits alone, or behind a minus: −2^53+1 … 2^53−1, without `-0`; `undefined` for any other text. */
export function parseSignedInteger(text: string): number | undefined {
  if (!text.startsWith('-')) return parseInteger(text);
  const value = parseInteger(text.slice(1));
  return value === undefined || value === 0 ? undefined : -value;
}

/** Reads `4096`, `4096B`, `64KB`, `64KiB` … `1TB` into bytes; `undefined` for any other text. */
export function parseBytes(text: string): number | undefined {
  return parseScaled(text, (unit) => (unit === '' ? 1 : BYTES_OF_UNIT.get(unit)));
}

/** Reads `100ms`, `10s`, `5m`, `1h` into milliseconds; `undefined` for any other text, also without unit. */
export function parseDuration(text: string): number | undefined {
  return parseScaled(text, (unit) => MS_OF_UNIT.get(unit));
}

/** Writes a whole number of bytes in the largest unit that divides it: 65536 is `64KB`. */
export function formatBytes(bytes: number): string {
  return formatScaled(bytes, BYTES_OF_UNIT, 'B');
}

/** Writes a whole number of milliseconds in the largest unit that divides it: 300000 is `5m`. */
export function formatDuration(ms: number): string {
  return formatScaled(ms, MS_OF_UNIT, 's');
}

function parseScaled(
  text: string,
  scaleOf: (unit: string) => number | undefined,
): number | undefined {
  const match = WHOLE_NUMBER.exec(text);
  if (match === null) return undefined;
  const scale = scaleOf(match[2] ?? '');
  if (scale === undefined) return undefined;
  const value = Number(match[1]) * scale;
  return Number.isSafeInteger(value) ? value : undefined;
}

function formatScaled(
  value: number,
  units: ReadonlyMap<string, number>,
  unitOfZero: string,
): string {
  if (value === 0) return `0${unitOfZero}`;
  for (const [unit, scale] of units) {
    if (value % scale === 0) return `${value / scale}${unit}`;
  }
  throw new Error(`expected a whole number, found ${value}`);
}
