/** Who may write, what is sent again, and who is outvoted. */
import t from 'tap';
import { Claims } from '../../src/replication/claims.ts';
import { PROBE_MS, Proposer, RESEND_MS, WINDOW_FRAMES } from '../../src/replication/proposer.ts';
import { WriterTable } from '../../src/replication/writer-table.ts';

t.test('a frame counts once and in its order', (t) => {
  const writers = new WriterTable();
  t.equal(writers.take(5, 1, 6), false, 'nobody has opened');
  writers.open(5, 0);
  t.equal(writers.take(5, 2, 6), false, 'the first is missing');
  t.equal(writers.take(5, 1, 7), true);
  t.equal(writers.take(5, 1, 8), false, 'again');
  t.equal(writers.take(5, 2, 9), true);
  writers.open(10, 5);
  t.equal(writers.take(5, 3, 11), false, 'superseded');
  t.equal(writers.take(10, 1, 12), true);
  const restored = new WriterTable(writers.records);
  t.equal(restored.nextOf(10), 2);
  t.equal(restored.has(5), false);
  t.end();
});

t.test('the one that was silent for longest makes room', (t) => {
  const writers = new WriterTable([], 3);
  for (const position of [1, 2, 3]) writers.open(position, 0);
  writers.take(1, 1, 4);
  writers.open(5, 0);
  t.strictSame(
    [1, 2, 3, 5].map((writer) => writers.has(writer)),
    [true, false, true, true],
  );
  t.end();
});

t.test('what does not come back is sent again', (t) => {
  let now = 0;
  const sent: number[] = [];
  const proposer = new Proposer(
    (bytes) => {
      sent.push(bytes[0] ?? 0);
      return true;
    },
    () => now,
  );
  for (let n = 1; n <= WINDOW_FRAMES; n++) proposer.send(Uint8Array.of(n));
  t.equal(proposer.hasRoom, false);
  proposer.seen(1);
  t.equal(proposer.hasRoom, true);
  now = RESEND_MS - 1;
  proposer.resend();
  t.equal(sent.length, WINDOW_FRAMES, 'not yet');
  now = RESEND_MS;
  proposer.resend();
  t.strictSame(sent.slice(WINDOW_FRAMES), [2, 3, 4], 'all of it');
  now += PROBE_MS;
  proposer.resend();
  t.strictSame(sent.slice(WINDOW_FRAMES + 3), [2], 'then the first alone');
  proposer.seen(2);
  now += RESEND_MS;
  proposer.resend();
  t.strictSame(sent.slice(WINDOW_FRAMES + 4), [3, 4], 'and all again once it moves');
  t.throws(() => proposer.seen(4), 'the next one is 3');
  t.end();
});

t.test('an instance that is alone with its state knows it', (t) => {
  const claims = new Claims();
  t.equal(claims.isOutvoted, false);
  claims.note(1, 'unknown');
  claims.note(2, 'other');
  t.equal(claims.isOutvoted, true, 'one against one: nobody knows which');
  claims.note(3, 'same');
  t.equal(claims.isOutvoted, false, 'two against one');
  claims.note(3, 'other');
  t.equal(claims.isOutvoted, true);
  claims.forget((writer) => writer !== 2 && writer !== 3);
  t.equal(claims.isOutvoted, false);
  t.end();
});
