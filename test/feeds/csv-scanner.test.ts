/** The scanner finds the cells that csv-parse finds, on random tables, wherever the bytes are cut. */
import { parse } from 'csv-parse/sync';
import fc from 'fast-check';
import t from 'tap';
import { CsvScanner } from '../../src/feeds/csv-scanner.ts';

interface Scanned {
  readonly records: string[][];
  readonly lines: number;
}

/** All records of `bytes`, handed in piece by piece. */
function scanned(bytes: Buffer, delimiter: string, pieceBytes: number): Scanned {
  const scanner = new CsvScanner(delimiter);
  const records: string[][] = [];
  let lines = 0;
  let at = 0;
  let end = 0;
  for (;;) {
    const isLast = end === bytes.length;
    const state = scanner.scan(bytes.subarray(0, end), at, end, isLast);
    if (state === 'end') return { records, lines };
    if (state === 'more') {
      end = Math.min(bytes.length, end + pieceBytes);
      continue;
    }
    if (scanner.recordEnd > at) {
      records.push(
        Array.from({ length: scanner.cells }, (_, i) => {
          const text = bytes.toString('utf8', scanner.starts[i], scanner.ends[i]);
          return scanner.hasDoubledQuotes(i) ? text.replaceAll('""', '"') : text;
        }),
      );
    }
    lines += scanner.lines;
    at = scanner.next;
  }
}

const cell = fc.string({ unit: fc.constantFrom('a', 'é', '"', ',', ';', '\n', '\r\n', ' ', '7') });
const table = fc.record({
  rows: fc.array(fc.array(cell, { minLength: 2, maxLength: 4 }), { minLength: 1, maxLength: 6 }),
  delimiter: fc.constantFrom(',', ';', '\t'),
  lineEnd: fc.constantFrom('\n', '\r\n', '\r'),
  pieceBytes: fc.integer({ min: 1, max: 20 }),
});

t.test('as csv-parse', (t) => {
  fc.assert(
    fc.property(table, ({ rows, delimiter, lineEnd, pieceBytes }) => {
      const text = rows
        .map((cells) => cells.map((each) => `"${each.replaceAll('"', '""')}"`).join(delimiter))
        .join(lineEnd);
      const bytes = Buffer.from(text);
      const expected = parse(bytes, {
        delimiter,
        relax_column_count: true,
        record_delimiter: ['\r\n', '\n', '\r'],
      });
      const { records, lines } = scanned(bytes, delimiter, pieceBytes);
      t.strictSame(records, expected);
      t.equal(lines, bytes.toString().split(/\r\n|\n|\r/).length - 1, 'each line end once');
    }),
    { numRuns: 300 },
  );
  t.end();
});

t.test('cells without quotes, mixed line ends, blank lines', (t) => {
  const bytes = Buffer.from('a,b "c"\r\n,\r"x",\n\n1,2,3');
  for (let pieceBytes = 1; pieceBytes < 9; pieceBytes++) {
    t.strictSame(scanned(bytes, ',', pieceBytes), {
      records: [
        ['a', 'b "c"'],
        ['', ''],
        ['x', ''],
        ['1', '2', '3'],
      ],
      lines: 4,
    });
  }
  t.end();
});
