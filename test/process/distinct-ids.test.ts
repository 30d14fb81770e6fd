/** Counting different ids in little memory: never too few, not many too many. */
import t from 'tap';
import { DistinctIds } from '../../src/process/distinct-ids.ts';

const ID_WORDS = 16;

t.test('the estimate is above the number, by little', (t) => {
  const words = new Int32Array(ID_WORDS);
  const bytes = Buffer.from(words.buffer);
  for (const count of [0, 1, 500, 20_000, 300_000]) {
    const ids = new DistinctIds();
    for (let n = 0; n < 2 * count; n++) {
      bytes.fill(0);
      const length = bytes.write(`product ${n % count}`);
      ids.add(words, 0, length);
    }
    const estimate = ids.estimateAbove();
    t.ok(estimate >= count && estimate <= Math.ceil(count * 1.07), `${count}: ${estimate}`);
  }
  t.end();
});
