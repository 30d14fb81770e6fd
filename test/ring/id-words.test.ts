/** The encoder of the hot path writes what the plain one writes, and answers the same. */
import t from 'tap';
import { encodeProductId, encodeProductIdWords } from '../../src/ring/id-bytes.ts';
import { Random, testSeed } from '../helpers/models/random.ts';

const AT = 64;

/** What each encoder answers and makes of memory that is not empty; only the answer if it refuses. */
function both(id: string): { plain: unknown[]; words: unknown[] } {
  const plain = new Uint8Array(192).fill(0xee);
  const plainBytes = encodeProductId(id, plain, AT);
  const bytes = new Uint8Array(192).fill(0xee);
  const memory = { bytes, words: new Int32Array(bytes.buffer) };
  const wordsBytes = encodeProductIdWords(id, memory, AT / 4);
  return plainBytes < 0
    ? { plain: [plainBytes], words: [wordsBytes] }
    : { plain: [plainBytes, ...plain], words: [wordsBytes, ...bytes] };
}

t.test('ASCII ids of every length from 0 to 66', (t) => {
  for (let length = 0; length <= 66; length++) {
    const id = String.fromCharCode(...Array.from({ length }, (_, i) => 0x20 + ((i * 7) % 0x5f)));
    const { plain, words } = both(id);
    t.same(words, plain, `length ${length}`);
  }
  t.end();
});

t.test('ids with one character that is not ASCII, at every place', (t) => {
  for (const other of ['\u0080', 'ü', '한', '😀', '\ud800', '\udc00']) {
    for (let at = 0; at <= 61; at++) {
      const { plain, words } = both('a'.repeat(at) + other + 'b'.repeat(at % 5));
      t.same(words, plain, `${JSON.stringify(other)} at ${at}`);
    }
  }
  t.end();
});

t.test('random ids', (t) => {
  const seed = testSeed();
  const random = new Random(seed);
  for (let i = 0; i < 20_000; i++) {
    const units = Array.from({ length: random.below(70) }, () =>
      random.below(8) === 0 ? random.below(0x10000) : random.below(0x80),
    );
    const id = String.fromCharCode(...units);
    const { plain, words } = both(id);
    if (JSON.stringify(plain) !== JSON.stringify(words)) t.same(words, plain, `seed ${seed}`);
  }
  t.end();
});
