/** Dates in feeds that say from when and until when a price holds. Pure, any thread. */

const ISO =
  /^(\d{4})-(\d\d)-(\d\d)(?:[T ](\d\d):?(\d\d)(?::?(\d\d))?(?:\.\d+)?\s*(Z|[+-]\d\d:?\d\d)?)?$/;
/** Magento's: month first. */
const US = /^(\d{1,2})\/(\d{1,2})\/(\d{2}|\d{4})(?:,? .*)?$/;

/** The first moment of a date or time, ms since 1970, in UTC where it says no zone; NaN = no date. */
export function dateMs(text: string): number {
  const iso = ISO.exec(text);
  if (iso !== null) {
    const [, year, month, day, hour = '00', minute = '00', second = '00', zone = 'Z'] = iso;
    const offset = zone === 'Z' ? 'Z' : `${zone.slice(0, 3)}:${zone.slice(-2)}`;
    return checked(
      Date.parse(`${year}-${month}-${day}T${hour}:${minute}:${second}${offset}`),
      text,
    );
  }
  const us = US.exec(text);
  if (us === null) return Number.NaN;
  const [, month = '', day = '', year = ''] = us;
  const full = year.length === 2 ? `20${year}` : year;
  return Date.parse(`${full}-${month.padStart(2, '0')}-${day.padStart(2, '0')}T00:00:00Z`);
}

/** Date.parse takes the 30th of February for the 2nd of March. */
function checked(ms: number, text: string): number {
  const day = text.slice(0, 10);
  const isReal = new Date(`${day}T00:00:00Z`).toISOString().startsWith(day);
  return Number.isNaN(ms) || !isReal ? Number.NaN : ms;
}

/** Whether now lies between two dates, an empty one being open; `undefined` = one is no date. */
export function coversNow(
  from: string,
  to: string,
  nowMs: number,
): 'now' | 'ahead' | 'past' | undefined {
  const fromMs = from === '' ? Number.NEGATIVE_INFINITY : dateMs(from);
  let toMs = to === '' ? Number.POSITIVE_INFINITY : dateMs(to);
  // A date without a time covers its day.
  if (to !== '' && !/\d:?\d\d/.test(to.slice(10))) toMs += 24 * 3_600_000 - 1;
  if (Number.isNaN(fromMs) || Number.isNaN(toMs)) return undefined;
  if (nowMs < fromMs) return 'ahead';
  return nowMs > toMs ? 'past' : 'now';
}
