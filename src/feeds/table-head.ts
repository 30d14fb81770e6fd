/**
 * The beginning of a table: byte order mark, `sep=` line, delimiter, header, and whose header it is. Looks at a
 * sample, as long as the first reads gave. Pure, any thread.
 */
import { isUtf8 } from 'node:buffer';
import { CsvScanner } from './csv-scanner.ts';
import { FeedError } from './feed.ts';
import { type DecimalMark, markShownBy } from './numbers.ts';
import { Columns, type TablePreset } from './table-preset.ts';
import { TABLE_PRESETS } from './table-presets.ts';

export type Encoding = 'utf-8' | 'windows-1252';

const DELIMITERS = [';', ',', '\t', '|'] as const;
/** Lines before the header that are looked through for one that a preset knows. */
const HEADER_LINES_MAX = 10;
const QUOTE = 0x22;
const SAMPLED_ROWS_MAX = 2000;
const SEP_LINE = /^"?sep=(.)"?\r?\n/i;

/** What a report of refused lines has before the feed's own columns. */
export const REPORT_COLUMNS = ['import_line', 'import_reason'] as const;

/** Where the feed's own cells begin in the record of a report that was scanned last. */
export function feedStart(bytes: Uint8Array, { cells, ends }: CsvScanner): number {
  const end = ends[Math.min(cells, REPORT_COLUMNS.length) - 1];
  return end + (bytes[end] === QUOTE ? 2 : 1);
}

export interface TableHead {
  readonly delimiter: string;
  readonly encoding: Encoding;
  readonly columns: Columns;
  readonly preset: TablePreset;
  readonly decimal: DecimalMark;
  /** It is a report of refused lines: its first two cells are not the feed's. */
  readonly isReport: boolean;
  /** The header's bytes, without those two, and where the rows begin: byte and line. */
  readonly header: Uint8Array;
  readonly rowsAt: number;
  readonly rowsLine: number;
}

export interface HeadOptions {
  readonly delimiter?: string | undefined;
  readonly encoding?: Encoding | undefined;
  readonly decimal?: DecimalMark | undefined;
  /** The preset that is asked for; else it is guessed. */
  readonly preset?: TablePreset | undefined;
}

/** Reads the head of the table that begins with `sample`. Throws FeedError. */
export function readHead(sample: Buffer, isWhole: boolean, options: HeadOptions): TableHead {
  let at = sample.subarray(0, 3).equals(Buffer.from([0xef, 0xbb, 0xbf])) ? 3 : 0;
  let line = 1;
  const sep = SEP_LINE.exec(sample.toString('latin1', at, at + 16));
  if (sep !== null) {
    at += sep[0].length;
    line++;
  }
  // A character that was cut in two by the end of the sample is no fault of its encoding.
  const lastLine = isWhole ? sample.length : sample.lastIndexOf(0x0a) + 1;
  const encoding =
    options.encoding ?? (isUtf8(sample.subarray(0, lastLine)) ? 'utf-8' : 'windows-1252');
  const delimiter = options.delimiter ?? sep?.[1] ?? guessDelimiter(sample, at);
  if (delimiter.length !== 1 || delimiter.charCodeAt(0) > 0x7f) {
    throw new FeedError('the delimiter must be one ASCII character');
  }

  const scanner = new CsvScanner(delimiter);
  const presets = options.preset === undefined ? TABLE_PRESETS : [options.preset];
  let first: string[] | undefined;
  for (let n = 0; n < HEADER_LINES_MAX; n++) {
    if (scanner.scan(sample, at, sample.length, isWhole) !== 'record') break;
    const names = namesOf(sample, scanner, encoding);
    first ??= names;
    const columns = new Columns(names);
    const preset = presets.find((each) => each.recognises(columns));
    if (preset !== undefined) {
      const { repeated } = columns;
      if (repeated !== undefined)
        throw new FeedError(`the header names the column ${repeated} twice`);
      const isReport = names[0] === REPORT_COLUMNS[0] && names[1] === REPORT_COLUMNS[1];
      const header = sample.subarray(isReport ? feedStart(sample, scanner) : at, scanner.recordEnd);
      const rowsAt = scanner.next;
      const rowsLine = line + scanner.lines;
      const known = options.decimal ?? preset.decimal;
      const decimal =
        known ?? guessDecimal(sample, rowsAt, scanner, preset.numberColumns?.(columns));
      return { delimiter, encoding, columns, preset, decimal, isReport, header, rowsAt, rowsLine };
    }
    at = scanner.next;
    line += scanner.lines;
  }
  throw new FeedError(unknownHeader(first ?? [], options.preset));
}

function unknownHeader(names: readonly string[], asked: TablePreset | undefined): string {
  const shown = names.slice(0, 30).join(', ');
  if (asked !== undefined) return `the header is none of ${asked.name}: ${shown}`;
  return `no preset knows the header, say --map product_id=COLUMN,price=COLUMN,stock=COLUMN: ${shown}`;
}

function namesOf(
  sample: Buffer,
  { cells, starts, ends }: CsvScanner,
  encoding: Encoding,
): string[] {
  const decoder = new TextDecoder(encoding);
  return Array.from({ length: cells }, (_, i) =>
    decoder.decode(sample.subarray(starts[i], ends[i])).replaceAll('""', '"').trim(),
  );
}

/** The one that stands most often in the first line, outside quotes; of two alike, `;` before `,`. */
function guessDelimiter(sample: Buffer, at: number): string {
  const line = /^[^\r\n]*/.exec(sample.toString('latin1', at, at + 16_384))?.[0] ?? '';
  const bare = line.replaceAll(/"[^"]*"/g, '');
  let best = ',';
  let most = 0;
  for (const delimiter of DELIMITERS) {
    const count = bare.split(delimiter).length - 1;
    if (count > most) {
      best = delimiter;
      most = count;
    }
  }
  return best;
}

/** The decimal mark that the numbers show. Throws FeedError if they contradict each other or could be either. */
function guessDecimal(
  sample: Buffer,
  from: number,
  scanner: CsvScanner,
  columns: readonly number[] = [],
): DecimalMark {
  const seen = new Map<string, string>();
  let at = from;
  for (let n = 0; n < SAMPLED_ROWS_MAX; n++) {
    if (scanner.scan(sample, at, sample.length, true) !== 'record') break;
    for (const column of columns) {
      if (column < 0 || column >= scanner.cells) continue;
      const text = sample.toString('latin1', scanner.starts[column], scanner.ends[column]).trim();
      const mark = markShownBy(text);
      if (!seen.has(mark)) seen.set(mark, text);
    }
    at = scanner.next;
  }
  const [point, comma, either] = ['.', ',', 'either'].map((mark) => seen.get(mark));
  if (point !== undefined && comma !== undefined) {
    throw new FeedError(
      `numbers are written both ways, ${point} and ${comma}: say --decimal . or ,`,
    );
  }
  if (point !== undefined) return '.';
  if (comma !== undefined) return ',';
  if (either !== undefined) {
    throw new FeedError(`${either} may be a decimal or in thousands: say --decimal . or ,`);
  }
  return '.';
}
