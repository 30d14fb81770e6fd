/** Ids become the same bytes that Node's own UTF-8 encoder makes, or are refused. */
import t from 'tap';
import { encodeProductId } from '../../src/ring/id-bytes.ts';
import { Random, testSeed } from '../helpers/models/random.ts';

const AT = 64;

/** The bytes of `id`, or `undefined` if refused; checks the padding and that nothing else changed. */
function encoded(id: string): Buffer | undefined {
  const bytes = new Uint8Array(192).fill(0xee);
  const length = encodeProductId(id, bytes, AT);
  if (bytes.subarray(0, AT).some((byte) => byte !== 0xee)) throw new Error('wrote before');
  if (bytes.subarray(AT + 64).some((byte) => byte !== 0xee)) throw new Error('wrote behind');
  if (length < 0) return undefined;
  if (bytes.subarray(AT + length, AT + 64).some((byte) => byte !== 0))
    throw new Error('no padding');
  return Buffer.from(bytes.subarray(AT, AT + length));
}

/** What the contract says, by Node's encoder. */
function expected(id: string): Buffer | undefined {
  const bytes = Buffer.from(id, 'utf8');
  return id.isWellFormed() && bytes.length >= 1 && bytes.length <= 64 ? bytes : undefined;
}

t.test('every code point alone', (t) => {
  const wrong: string[] = [];
  for (let code = 0; code <= 0x10ffff; code++) {
    const id = String.fromCodePoint(code);
    const want = expected(id);
    const got = encoded(id);
    if (want === undefined ? got !== undefined : got === undefined || !got.equals(want)) {
      wrong.push(code.toString(16));
    }
  }
  t.same(wrong, []);
  t.end();
});

t.test('1 to 64 bytes go in, 0 and 65 do not, whatever the characters', (t) => {
  t.equal(encoded(''), undefined);
  for (const [unit, width] of [
    ['a', 1],
    ['é', 2],
    ['€', 3],
    ['😀', 4],
  ] as const) {
    for (let length = 1; length <= 70; length++) {
      const id = 'x'.repeat(length % width) + unit.repeat(Math.floor(length / width));
      t.equal(Buffer.byteLength(id), length);
      t.same(encoded(id), length <= 64 ? Buffer.from(id) : undefined, `${length} bytes of ${unit}`);
    }
  }
  t.end();
});

t.test('lone surrogates are refused wherever they stand', (t) => {
  for (const lone of [
    '\ud800',
    '\udbff',
    '\udc00',
    '\udfff',
    '\ude00\ud83d',
    '\ud83d\ud83d\ude00',
  ]) {
    for (const id of [lone, `a${lone}`, `${lone}b`, `a${lone}b`, `${'x'.repeat(60)}${lone}`]) {
      t.equal(encoded(id), undefined, JSON.stringify(id));
    }
  }
  t.end();
});

const seed = testSeed();
t.test(`any mixture of characters (seed ${seed})`, (t) => {
  const random = new Random(seed);
  const tops = [0x80, 0x800, 0x10000, 0x110000];
  for (let round = 0; round < 20_000; round++) {
    let id = '';
    for (let n = random.below(40); n > 0; n--) {
      const code = random.below(random.pick(tops));
      id += random.chance(0.02)
        ? String.fromCharCode(0xd800 + random.below(0x800))
        : String.fromCodePoint(code);
    }
    const want = expected(id);
    const got = encoded(id);
    if (want === undefined ? got !== undefined : got === undefined || !got.equals(want)) {
      t.fail(`round ${round}: ${JSON.stringify(id)}`);
      break;
    }
  }
  t.pass();
  t.end();
});
