/** Whether a double is the number that was sent: in exact arithmetic, and in the words for the client. */
import fc from 'fast-check';
import t from 'tap';
import { inexactDetail, isExact } from '../../src/event/exact-number.ts';
import { testSeed } from '../helpers/models/random.ts';
import { scaled } from '../helpers/threads/race-scale.ts';

/** Half way between two decimals of 17 digits: 100000000000.015625. */
const HALF_WAY = 1e11 + 2 ** -6;

/** `mantissa` × `base` ^ `exponent`. */
interface Power {
  readonly mantissa: bigint;
  readonly exponent: number;
}

function bitsOf(value: number): Power {
  const bits = new BigUint64Array(Float64Array.of(value).buffer)[0];
  const biased = Number((bits >> 52n) & 0x7ffn);
  const fraction = bits & 0xfffffffffffffn;
  return biased === 0
    ? { mantissa: fraction, exponent: -1074 }
    : { mantissa: fraction | (1n << 52n), exponent: biased - 1075 };
}

/** Whether `digits` × 10^`exponent`, `digits` not ending in 0, is at most half a unit off `value`. */
function isNear(digits: bigint, exponent: number, value: number): boolean {
  const held = bitsOf(value);
  // Both over the same denominator, 10^down × 2^under.
  const down = BigInt(Math.max(0, -exponent));
  const under = BigInt(Math.max(0, -held.exponent));
  const sent = digits * 10n ** BigInt(Math.max(0, exponent)) * 2n ** under;
  const found = held.mantissa * 2n ** BigInt(Math.max(0, held.exponent)) * 10n ** down;
  const unit = 10n ** BigInt(Math.max(0, exponent)) * 2n ** under;
  const off = sent > found ? sent - found : found - sent;
  return off * 2n <= unit;
}

const numRuns = scaled(5_000, 500_000);
const seed = testSeed();

t.test(`is exact arithmetic, on ${numRuns} numbers (SEED=${seed})`, async (t) => {
  let exact = 0;
  const digits = fc
    .tuple(fc.integer({ min: 1, max: 25 }), fc.bigInt({ min: 1n, max: 10n ** 25n - 1n }))
    .map(([count, n]) => BigInt(String(n).slice(0, count)))
    .filter((n) => n % 10n !== 0n);
  const near = fc
    .tuple(
      fc.double({ min: 1e-320, noNaN: true, noDefaultInfinity: true }),
      fc.integer({ min: 14, max: 25 }),
    )
    .map(([value, precision]) => value.toExponential(precision - 1));
  const sent = fc.oneof(
    fc.tuple(digits, fc.integer({ min: -345, max: 310 })).map(([n, e]) => `${n}e${e}`),
    fc.tuple(digits, fc.integer({ min: -30, max: 5 })).map(([n, e]) => `${n}e${e}`),
    near,
  );
  const property = fc.property(sent, (source) => {
    const value = Number(source);
    fc.pre(Number.isFinite(value));
    const [, whole = '', fraction = '', power = ''] =
      /^(\d+)\.?(\d*)e([+-]?\d+)$/.exec(source) ?? [];
    const stripped = `${whole}${fraction}`.replace(/0+$/, '');
    const cut = whole.length + fraction.length - stripped.length;
    const exponent = Number(power) - fraction.length + cut;
    const wanted = value !== 0 && isNear(BigInt(stripped), exponent, value);
    if (isExact(source, value) !== wanted) throw new Error(`${source}: wanted ${wanted}`);
    if (wanted) exact++;
  });
  fc.assert(property, { seed, numRuns });
  t.ok(exact > numRuns / 20, `${exact} were exact`);
});

t.test('every double as programs print it is exact', async (t) => {
  const property = fc.property(fc.double({ min: 0, noNaN: true, noDefaultInfinity: true }), (x) => {
    const forms = [String(x), x.toExponential(), x.toPrecision(17), x.toPrecision(40)];
    // printf("%.17g") of C, Python and Go rounds half to even.
    for (const form of forms) if (!isExact(form, x)) throw new Error(form);
    const zeros = x.toFixed(2);
    if (Number(zeros) < 1e15 && !isExact(`${zeros}${'0'.repeat(50)}`, Number(zeros)))
      throw new Error(zeros);
  });
  t.doesNotThrow(() => fc.assert(property, { seed, numRuns: scaled(2_000, 200_000) }));
  t.ok(isExact('100000000000.01562', HALF_WAY), 'half way, as C prints it');
  t.ok(isExact('100000000000.01563', HALF_WAY), 'half way, as JavaScript prints it');
});

t.test('a number of a million digits takes no time', async (t) => {
  const zeros = '0'.repeat(1_000_000);
  for (const source of [`0.${zeros}1`, `1${zeros}1`, `0.1${zeros}1`, `0${zeros}`, `1.${zeros}`]) {
    t.equal(
      isExact(source, Number(source)),
      source.startsWith('1.') || (Number(source[0]) === 0 && !source.endsWith('1')),
    );
  }
});

t.test('says what would become of it', async (t) => {
  for (const [source, detail] of [
    [
      '9007199254740993',
      'price can not be kept exactly: 9007199254740993 would become 9007199254740992. Numbers of up to 15 digits always can.',
    ],
    ['1e-400', 'price can not be kept exactly: 1e-400 would become 0.'],
    [
      `0.${'3'.repeat(60)}`,
      `price can not be kept exactly: 0.${'3'.repeat(38)}… would become 0.3333333333333333. Numbers of up to 15 digits always can.`,
    ],
  ] as const) {
    t.equal(inexactDetail('price', source, Number(source)), detail);
  }
});
