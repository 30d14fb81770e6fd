/** The grammar of numbers, sizes and durations: what is read, and above all what is refused. */
import fc from 'fast-check';
import t from 'tap';
import {
  formatBytes,
  formatDuration,
  parseBytes,
  parseDuration,
  parseInteger,
  parseSignedInteger,
} from '../../src/config/quantity.ts';

const SEED = 20_261_123;

t.test('sizes are powers of 1024 in every spelling', (t) => {
  const expected: readonly [string, number][] = [
    ['0', 0],
    ['4096', 4096],
    ['17B', 17],
    ['1KB', 1024],
    ['1KiB', 1024],
    ['3MB', 3 * 1024 ** 2],
    ['3MiB', 3 * 1024 ** 2],
    ['1GB', 1024 ** 3],
    ['1GiB', 1024 ** 3],
    ['2TB', 2 * 1024 ** 4],
    ['2TiB', 2 * 1024 ** 4],
  ];
  for (const [text, bytes] of expected) t.equal(parseBytes(text), bytes, text);
  t.end();
});

t.test('durations are milliseconds', (t) => {
  const expected: readonly [string, number][] = [
    ['0s', 0],
    ['100ms', 100],
    ['10s', 10_000],
    ['5m', 300_000],
    ['2h', 7_200_000],
  ];
  for (const [text, ms] of expected) t.equal(parseDuration(text), ms, text);
  t.end();
});

t.test('no other spelling is read', (t) => {
  const never = ['', ' ', ' 1', '1 ', '+1', '-1', '1.5', '1e3', '0x10', '01', '1_000', '１', '1\n'];
  const wrongUnits = ['1 KB', '1kb', '1kB', '1G', 'GB', '1GB2', '1.5GB', '-1GB', '1e3B', '01KB'];
  for (const text of [...never, ...wrongUnits, 'NaN', 'Infinity', '10s', '10%']) {
    t.equal(parseInteger(text), undefined, `integer ${JSON.stringify(text)}`);
    t.equal(parseBytes(text), undefined, `size ${JSON.stringify(text)}`);
  }
  for (const text of [...never, '10', '0', '1S', '1 s', '1.5s', '-1s', '1sec', '1MS', '1d', 's']) {
    t.equal(parseDuration(text), undefined, `duration ${JSON.stringify(text)}`);
  }
  t.end();
});

t.test('a number that a double does not hold exactly is refused', (t) => {
  t.equal(parseInteger('9007199254740991'), Number.MAX_SAFE_INTEGER);
  t.equal(parseInteger('9007199254740992'), undefined);
  t.equal(parseBytes('8192TB'), undefined);
  t.equal(parseDuration(`${'9'.repeat(400)}ms`), undefined);
  t.end();
});

t.test('an integer that may be negative has a minus and nothing else', (t) => {
  for (const [text, value] of [
    ['0', 0],
    ['7', 7],
    ['-1', -1],
    ['-9007199254740991', -Number.MAX_SAFE_INTEGER],
  ] as const) {
    t.equal(parseSignedInteger(text), value, text);
  }
  for (const text of [
    '-0',
    '-',
    '--1',
    '- 1',
    '-01',
    '+1',
    '-1.5',
    '−1',
    '-9007199254740992',
    '-1B',
  ]) {
    t.equal(parseSignedInteger(text), undefined, text);
  }
  t.end();
});

t.test('what is written is read back as the same number', (t) => {
  const whole = fc.oneof(
    fc.maxSafeNat(),
    fc.nat(1_000).map((n) => n * 1024 ** 2),
  );
  fc.assert(
    fc.property(
      whole,
      (n) => parseBytes(formatBytes(n)) === n && parseDuration(formatDuration(n)) === n,
    ),
    { seed: SEED },
  );
  t.end();
});

t.test('the largest unit that divides a number is the one written', (t) => {
  t.same([0, 1, 1023, 65_536, 1024 ** 3].map(formatBytes), ['0B', '1B', '1023B', '64KB', '1GB']);
  t.same([0, 1, 1500, 10_000, 300_000].map(formatDuration), ['0s', '1ms', '1500ms', '10s', '5m']);
  t.throws(() => formatBytes(0.5), { message: 'expected a whole number, found 0.5' });
  t.end();
});
