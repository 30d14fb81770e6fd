/** Product ids of feeds: text, never numbers. Pure, any thread. */

const SCIENTIFIC = /^\d[.,]\d+E\+?\d+$/i;

/** The id in a cell; `fault` says why it can't be one. '' = there is none. */
export function readId(cell: string): { readonly id: string } | { readonly fault: string } {
  const id = cell.trim();
  if (SCIENTIFIC.test(id)) {
    return {
      fault: `the id ${asciiText(id)} went through Excel, which has made a number of it: its digits are lost, take the file from where it came`,
    };
  }
  return { id };
}

/** Text of a feed as it may stand in a reason: ASCII, short. */
export function asciiText(text: string): string {
  const shown = text.length > 40 ? `${text.slice(0, 40)}...` : text;
  return JSON.stringify(shown).replaceAll(
    /[^\x20-\x7e]/g,
    (unit) => `\\u${unit.charCodeAt(0).toString(16).padStart(4, '0')}`,
  );
}

/** A string in JSON; short plain ones, the common case, without a call. */
export function jsonText(text: string): string {
  return /^[\x20\x21\x23-\x5b\x5d-\x7e]*$/.test(text) ? `"${text}"` : JSON.stringify(text);
}
