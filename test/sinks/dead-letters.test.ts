/** The dead letters' file itself: full, and its count, which every connection sees. */
import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
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

t.test('letters are counted as they come and go', async (t) => {
  const path = join(tempDir(t), 'dead-letters.db');
  const letters = new DeadLetters(path, 3);
  const other = new DeadLetters(path, 3);
  const database = new DatabaseSync(path, { readOnly: true });
  t.teardown(() => {
    for (const each of [letters, other, database]) each.close();
  });
  const put = (source: string, productId: string, seq: number) =>
    letters.put({ source, productId, seq, content: '{}', code: '', reason: '' });
  const count = () => {
    const { count } = database.prepare('SELECT count(*) AS count FROM letters').get() ?? {};
    t.equal(letters.count, count);
    t.equal(other.count, count);
    return letters.count;
  };
  t.equal(count(), 0);
  t.ok(put('sqlite', 'a', 1) && put('sqlite', 'b', 2) && put(APPLIER_SOURCE, 'a', 3));
  t.equal(count(), 3);
  t.ok(put('sqlite', 'a', 4) && put(APPLIER_SOURCE, 'a', 3), 'again');
  t.equal(count(), 3);
  t.notOk(put('sqlite', 'c', 5), 'no room');
  t.equal(count(), 3);
  letters.settle('sqlite', 'a', 3);
  t.equal(count(), 3, 'an older state settles nothing');
  letters.settle('sqlite', 'a', 4);
  t.equal(count(), 2);
  const [first] = letters.list(0, 1);
  t.ok(other.remove(first?.id ?? 0));
  t.notOk(other.remove(first?.id ?? 0));
  t.equal(count(), 1);
});

t.test('letters of before are counted', async (t) => {
  const path = join(tempDir(t), 'dead-letters.db');
  const letters = new DeadLetters(path, 3);
  letters.put({ source: 's', productId: 'a', seq: 1, content: '{}', code: '', reason: '' });
  letters.close();
  const database = new DatabaseSync(path);
  database.exec(`DROP TRIGGER IF EXISTS letter_came; DROP TRIGGER IF EXISTS letter_went;
    DROP TABLE IF EXISTS letter_count; PRAGMA user_version = 1`);
  database.close();
  const after = new DeadLetters(path, 3);
  t.teardown(() => after.close());
  t.equal(after.count, 1);
});
