/**
 * Whole clusters on a bad stream, history by history: instances take events in, die, come back and are
 * replaced; messages are lost, stored twice, late, out of order between writers, dropped at a change of
 * leader. At the end every instance that has read all of the stream has the same log, and it is right:
 *
 *  I1 what was settled for a client is in every replica.     I2 no event took effect twice.
 *  I4 positions without a gap (ReplicaState throws).         I5 nothing settled before it came back.
 *  I6 a writer's events in the order in which it had them.   I7 the log's time never goes back.
 *  I3, I8, I9 numbers, verdicts, times and chains are the same whatever an instance went through.
 *
 * `SEEDS=100000 node test/replication/histories.test.ts` runs as many.
 */
import t from 'tap';
import { Random, testSeed } from '../helpers/models/random.ts';
import { ClusterHistory } from '../helpers/replication/cluster-history.ts';

const seed = testSeed();
const HISTORIES = Number(process.env.SEEDS ?? 60);

t.test(`${HISTORIES} histories (seed ${seed})`, async (t) => {
  let settled = 0;
  let voids = 0;
  let deaths = 0;
  for (let n = 0; n < HISTORIES; n++) {
    const random = new Random(seed + n);
    const history = new ClusterHistory(random);
    try {
      history.run();
      history.check();
    } catch (error) {
      t.fail(
        `history ${n}, SEED=${seed + n} SEEDS=1: ${error instanceof Error ? error.stack : error}`,
      );
      return;
    }
    settled += history.settled;
    voids += history.voids;
    deaths += history.deaths;
  }
  t.comment(`${settled} events settled, ${voids} messages void, ${deaths} deaths`);
  t.ok(settled > HISTORIES, 'events were settled');
  t.ok(voids > 0, 'messages were void');
  t.ok(deaths > 0, 'instances died');
});
