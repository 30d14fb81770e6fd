/** The ring between two threads: nothing is lost, whatever the lengths, full or empty, over the wrap. */
import t from 'tap';
import { ByteRing } from '../../src/replication/byte-ring.ts';
import { Random, testSeed } from '../helpers/models/random.ts';

const seed = testSeed();

t.test(`messages come out as they went in (seed ${seed})`, (t) => {
  const random = new Random(seed);
  const buffer = ByteRing.create(1024);
  const cursors = new Int32Array(buffer, 0, 32);
  cursors[0] = -512;
  cursors[16] = -512;
  const writer = new ByteRing(buffer);
  let reader = new ByteRing(buffer);
  const expected: { position: number; text: string }[] = [];
  let position = 0;
  let refused = 0;
  for (let i = 0; i < 20_000; i++) {
    if (random.chance(0.5)) {
      const bytes = Buffer.alloc(random.below(400), String(i));
      if (writer.write(bytes, position + 1, 7)) {
        expected.push({ position: ++position, text: bytes.toString() });
      } else refused++;
    } else {
      const record = reader.read();
      const wanted = expected.shift();
      if (record === undefined) t.equal(wanted, undefined);
      else {
        const text = Buffer.from(record.bytes).toString();
        if (record.position !== wanted?.position || text !== wanted.text) t.fail(`message ${i}`);
        if (wanted !== undefined && random.chance(0.05)) {
          // The reader dies with it in hand: its successor reads it again.
          reader = new ByteRing(buffer);
          expected.unshift(wanted);
        }
      }
    }
  }
  t.ok(refused > 0, 'it was full at times');
  t.ok(position > 1000);
  t.end();
});
