/** Numbers in feeds: matched whole by a declared mark. */
import t from 'tap';
import { dateMs } from '../../src/feeds/dates.ts';
import { markShownBy, product, quotient, readDecimal, readWhole } from '../../src/feeds/numbers.ts';

t.test('decimals by their mark', (t) => {
  const point: [string, string | undefined][] = [
    ['12.50', '12.50'],
    ['1,234.50', '1234.50'],
    ['1,234,567', '1234567'],
    ['12,50', undefined],
    ['1,23', undefined],
    ['1.2.3', undefined],
    ["1'234.5", '1234.5'],
    ['1 234\u00a0567', undefined],
    ['1\u00a0234\u00a0567.8', '1234567.8'],
    ['+5', '5'],
    ['\u22125', '-5'],
    ['0012', '12'],
    ['.5', '0.5'],
    ['5.', '5'],
    ['.', undefined],
    ['', undefined],
    ['-', undefined],
    ['1e5', undefined],
    ['0x10', undefined],
    ['12 EUR', undefined],
    ['9007199254740993', '9007199254740993'],
  ];
  for (const [text, number] of point) t.equal(readDecimal(text, '.'), number, text);
  const comma: [string, string | undefined][] = [
    ['1.234,50', '1234.50'],
    ['12,50', '12.50'],
    ['1.234', '1234'],
    ['12.50', undefined],
    ['1.234.50', undefined],
    ['1\u202f234,5', '1234.5'],
    [',5', '0.5'],
  ];
  for (const [text, number] of comma) t.equal(readDecimal(text, ','), number, text);
  t.end();
});

t.test('whole numbers, and marks that a number shows', (t) => {
  t.equal(readWhole('100.0000', '.'), '100');
  t.equal(readWhole('2.5', '.'), undefined);
  t.equal(readWhole('-0', '.'), '0');
  t.equal(readWhole('1.200', ','), '1200');
  for (const [text, mark] of [
    ['12,5', ','],
    ['12.5', '.'],
    ['1.234', 'either'],
    ['1,234', 'either'],
    ['1.234,5', ','],
    ['1234', 'none'],
    ['x.y', 'none'],
  ] as const) {
    t.equal(markShownBy(text), mark, text);
  }
  t.end();
});

t.test('products and quotients are exact', (t) => {
  t.equal(product('0.1', '0.2'), '0.02');
  t.equal(product('19.99', '1'), '19.99');
  t.equal(product('-2.5', '4'), '-10');
  t.equal(quotient('12.50', '100'), '0.125');
  t.equal(quotient('1', '3'), undefined);
  t.equal(quotient('1', '0'), undefined);
  t.end();
});

t.test('dates of sales', (t) => {
  t.equal(dateMs('2026-01-31'), Date.parse('2026-01-31T00:00:00Z'));
  t.equal(dateMs('2016-02-24T13:00-0800'), Date.parse('2016-02-24T21:00:00Z'));
  t.equal(dateMs('1/31/26'), Date.parse('2026-01-31T00:00:00Z'));
  t.ok(Number.isNaN(dateMs('soon')));
  t.ok(Number.isNaN(dateMs('2026-02-30')));
  t.end();
});
