/**
 * Random histories on the simulated disk. SEEDS says how many (600), FIRST_SEED where to begin;
 * a failure names its seed, and `FIRST_SEED=<seed> SEEDS=1` runs that history alone.
 */
import t from 'tap';
import { type Counts, History } from './history.ts';

const SEEDS = Number(process.env.SEEDS ?? (process.env.FIRST_SEED === undefined ? 600 : 1));
const FIRST_SEED = Number(process.env.FIRST_SEED ?? 1);
const FAILURES_MAX = 10;

t.test(`${SEEDS} histories from seed ${FIRST_SEED} on`, (t) => {
  const startedMs = performance.now();
  const counts: Counts = {};
  let events = 0;
  let failures = 0;
  for (let seed = FIRST_SEED; seed < FIRST_SEED + SEEDS && failures < FAILURES_MAX; seed++) {
    const history = new History(seed);
    try {
      history.run();
    } catch (error) {
      failures++;
      t.comment(`history ${seed}; again: make test-durability FIRST_SEED=${seed}`);
      t.error(error);
    }
    events += history.expected.promised;
    for (const [what, count] of Object.entries(history.counts)) {
      counts[what] = (counts[what] ?? 0) + count;
    }
  }
  const seconds = ((performance.now() - startedMs) / 1000).toFixed(1);
  t.equal(failures, 0, `${events} events promised, all kept, in ${seconds} s`);
  t.comment(JSON.stringify({ events, ...counts }, undefined, 1));
  t.end();
});
