/** The dead letters' file itself, full. */
import { join } from 'node:path';
import t from 'tap';
import { APPLIER_SOURCE, DeadLetters, type NewLetter } from '../../src/sinks/dead-letters.ts';
import { tempDir } from '../helpers/disks/temp-dir.ts';

function letter(source: string, productId: string, seq: number): NewLetter {
  return { source, productId, seq, content: '{}', code: 'c', reason: `of ${seq}` };
}

t.test('full, it takes no new letter, and counts up those that it has', (t) => {
  const letters = new DeadLetters(join(tempDir(t), 'letters.db'), 2);
  t.teardown(() => letters.close());
  const row = letter('postgres', 'a', 7);
  const event = letter(APPLIER_SOURCE, 'a', 7);
  t.ok(letters.put(row));
  t.ok(letters.put(event));
  t.notOk(letters.put(letter('postgres', 'b', 8)));
  t.notOk(letters.put(letter(APPLIER_SOURCE, 'a', 8)), 'another event of the product');
  t.ok(letters.put({ ...row, seq: 9 }), 'a newer state of a product');
  t.ok(letters.put(event), 'an event that a replay meets again');
  t.match(letters.list(0, 10), [
    { ...row, seq: 9, times: 2 },
    { ...event, times: 2 },
  ]);
  t.end();
});
