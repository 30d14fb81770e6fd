/** An instance whose state is not what the others made of the same stream takes no more writes. */
import { mkdirSync } from 'node:fs';
import { join } from 'node:path';
import t, { type Test } from 'tap';
import type { ReplicatedLog } from '../../src/replication/replicated-log.ts';
import { INTAKE_HEAD, publishHead } from '../../src/ring/intake-ring.ts';
import { tempDir } from '../helpers/disks/temp-dir.ts';
import { putEvent } from '../helpers/models/plain-event.ts';
import { Random } from '../helpers/models/random.ts';
import { replicatedLogUnderTest } from '../helpers/replication/replicated-log.ts';
import { beginCluster, SimulatedStream } from '../helpers/replication/simulated-stream.ts';
import { HASH_KEY, LogMemory } from '../log/contract/log-contract.ts';

class Member {
  readonly memory = new LogMemory();
  readonly log: ReplicatedLog;
  /** Why it takes no writes; `''` = it does. */
  fault = 'not asked yet';

  constructor(t: Test, stream: SimulatedStream, nowMs: () => number) {
    const root = tempDir(t);
    const folder = join(root, 'log');
    mkdirSync(folder);
    const onStorage = (_: boolean, reason: string) => {
      this.fault = reason;
    };
    const under = replicatedLogUnderTest(stream, root, folder, { onStorage, monotonicMs: nowMs });
    this.log = under.open(this.memory, 1).log as ReplicatedLog;
  }

  push(productId: string): void {
    const { live } = this.memory.intakes;
    const head = live.cursors[INTAKE_HEAD];
    const event = { seq: 0, productId, price: 1, stock: 1, occurredAtMs: 1 };
    putEvent(live.slots, head & live.mask, event, HASH_KEY);
    publishHead(live, head + 1, live);
  }
}

t.test('one of three that has diverged stops, and the others go on', (t) => {
  const stream = new SimulatedStream(new Random(1));
  beginCluster(stream);
  let now = 0;
  const members = ['a', 'b', 'c'].map(() => new Member(t, stream, () => now));
  const [a, b, c] = members as [Member, Member, Member];
  const settle = () => {
    for (let i = 0; i < 100; i++) {
      now += 100;
      for (const { log } of members) log.step();
    }
  };
  a.push('p');
  settle();
  t.strictSame(
    members.map(({ fault }) => fault),
    ['', '', ''],
  );
  // Something else came of the same events here: memory that went wrong, say.
  b.log.state.chain = (b.log.state.chain ^ 1) >>> 0;
  a.push('q');
  settle();
  t.match(b.fault, /diverged/);
  t.equal(a.fault, '');
  t.equal(c.fault, '');
  t.end();
});

t.test('of two, nobody knows which', (t) => {
  const stream = new SimulatedStream(new Random(1));
  beginCluster(stream);
  let now = 0;
  const members = ['a', 'b'].map(() => new Member(t, stream, () => now));
  const [a, b] = members as [Member, Member];
  const settle = () => {
    for (let i = 0; i < 100; i++) {
      now += 100;
      for (const { log } of members) log.step();
    }
  };
  settle();
  b.log.state.chain = (b.log.state.chain ^ 1) >>> 0;
  a.push('q');
  settle();
  t.match(a.fault, /diverged/);
  t.match(b.fault, /diverged/);
  t.end();
});
