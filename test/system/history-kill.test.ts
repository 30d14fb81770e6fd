/**
 * `kill -9` under load, again and again, with a history, small segments and no retention: each event is in
 * the history once, at its own time, whichever way it came, and nothing else is.
 */
import t from 'tap';
import { polled } from '../helpers/bounded.ts';
import { ApiClient } from '../helpers/clients/api-client.ts';
import { tempDir } from '../helpers/disks/temp-dir.ts';
import { Random, testSeed } from '../helpers/models/random.ts';
import { ServiceProcess } from '../helpers/processes/service-process.ts';
import { changesOf } from '../history/history-model.ts';
import { Lane } from '../history/lane.ts';

const ROUNDS = 4;
const LANES = 16;
const EVENTS_PER_ROUND_MAX = 2500;
const WAIT_MS_MAX = 120_000;
const ENV = {
  HISTORY: 'forever',
  MAX_MEMORY_USAGE: '16MB',
  WORKERS: '2',
  SHARDS: '4',
  SEGMENT_SIZE: '1MB',
  CHECKPOINT_EVERY: '1MB',
  LOG_RETENTION: '0B',
  // Fewer than come: what became of most is not known any more when they are looked at.
  OUTCOME_WINDOW: '1000',
};

const seed = testSeed();

t.test(`killed ${ROUNDS} times (seed ${seed})`, async (t) => {
  const random = new Random(seed);
  const cwd = tempDir(t);
  const lanes = Array.from({ length: LANES }, (_, index) => new Lane(index, seed));
  for (let round = 0; round <= ROUNDS; round++) {
    const service = await ServiceProcess.start(t, { cwd, env: ENV });
    const port = await service.ready();
    const isLast = round === ROUNDS;
    let left = isLast ? LANES : 1 + random.below(EVENTS_PER_ROUND_MAX);
    const acknowledged = () => {
      left--;
      if (left === 0 && !isLast) service.kill('SIGKILL');
      // The last round only finishes what was open.
      return !isLast;
    };
    await Promise.all(lanes.map((lane) => lane.run(port, acknowledged)));
    if (!isLast) {
      await service.exited;
      continue;
    }
    const client = new ApiClient(port);
    t.teardown(() => client.close());
    const seq = Math.max(...lanes.flatMap(({ told }) => told.map((each) => each.seq)));
    for (const { id, told } of lanes) {
      const path = `/api/v1/products/${id}/history?limit=10000&min_seq=${seq}&wait=10s`;
      // As long as the history is behind, it is answered 503.
      const { entries } = await polled(
        async () => {
          const { status, text } = await client.send('GET', path);
          return status === 200 ? JSON.parse(text) : undefined;
        },
        WAIT_MS_MAX,
        `the history of ${id}`,
      );
      const marks = told.map(({ atMs, price }, i) => ({ atMs, seq: i, value: price }));
      t.strictSame(
        entries.map(({ at, value }: { at: string; value: number }) => [Date.parse(at), value]),
        changesOf(marks).map(({ atMs, value }) => [atMs, value]),
        `${id}: ${told.length} events`,
      );
    }
    t.ok(lanes.reduce((sum, { told }) => sum + told.length, 0) > ROUNDS * 10);
  }
});
