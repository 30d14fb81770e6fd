/** What several threads have open, counted together; test/race/tallies.test.ts has the races. */
import t from 'tap';
import { createOpen, forgetOpen, openCountsOf } from '../../src/limits/open-counts.ts';

const LIMITS = { httpConnectionsMax: 5, changesFollowersMax: 2 };

t.test('never more than the bound, whoever asks', (t) => {
  const memory = createOpen(3);
  const threads = [0, 1, 2].map((thread) => openCountsOf(memory, thread, LIMITS));
  for (const what of ['connections', 'streams'] as const) {
    const taken = Array.from({ length: 7 }, (_, i) => threads[i % 3][what].take());
    t.strictSame(taken, [true, true, true, true, true, false, false], what);
    threads[2][what].give(1);
    t.equal(threads[0][what].take(), true);
    t.equal(threads[1][what].take(), false);
    t.equal(threads[1][what].taken, 5);
  }
  const follow = threads.map(({ followers }) => followers.take());
  t.strictSame(follow, [true, true, false], 'each has a bound of its own');
  t.end();
});

t.test('what a dead thread had is free', (t) => {
  const memory = createOpen(2);
  const [main, other] = [0, 1].map((thread) => openCountsOf(memory, thread, LIMITS));
  for (let i = 0; i < 4; i++) other.connections.take();
  other.followers.take();
  main.connections.take();
  main.followers.take();
  t.equal(main.connections.take(), false);
  t.equal(main.followers.take(), false);
  t.equal(forgetOpen(memory, 1), true);
  t.strictSame([main.connections.taken, main.followers.taken], [1, 1]);
  const successor = openCountsOf(memory, 1, LIMITS).connections;
  t.strictSame(
    [1, 2, 3, 4, 5].map(() => successor.take()),
    [true, true, true, true, false],
  );
  t.end();
});
