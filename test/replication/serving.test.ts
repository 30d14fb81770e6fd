/** When an instance that starts begins to serve: not before it has what there is, unless nobody can say what that is. */
import { mkdirSync } from 'node:fs';
import { join } from 'node:path';
import t, { type Test } from 'tap';
import type { ReplicatedLog } from '../../src/replication/replicated-log.ts';
import type { StreamHealth } from '../../src/replication/stream-port.ts';
import { INTAKE_HEAD, publishHead } from '../../src/ring/intake-ring.ts';
import { tempDir } from '../helpers/disks/temp-dir.ts';
import { putEvent } from '../helpers/models/plain-event.ts';
import { Random } from '../helpers/models/random.ts';
import { replicatedLogUnderTest } from '../helpers/replication/replicated-log.ts';
import { beginCluster, SimulatedStream } from '../helpers/replication/simulated-stream.ts';
import { HASH_KEY, LogMemory } from '../log/contract/log-contract.ts';

const EVENTS = 300;
/** Longer than a start waits for a stream that does not answer. */
const STEP_MS = 10_000;

function streamWithEvents(t: Test): SimulatedStream {
  const stream = new SimulatedStream(new Random(1));
  beginCluster(stream);
  const writer = open(t, stream, { type: 'up' });
  const { live } = writer.memory.intakes;
  for (let price = 1; price <= EVENTS; price++) {
    const head = live.cursors[INTAKE_HEAD];
    const event = { seq: 0, productId: 'p', price, stock: 1, occurredAtMs: 1 };
    putEvent(live.slots, head & live.mask, event, HASH_KEY);
    publishHead(live, head + 1, live);
    writer.log.commitPending();
  }
  return stream;
}

function open(t: Test, stream: SimulatedStream, state: StreamHealth) {
  const root = tempDir(t);
  const folder = join(root, 'log');
  mkdirSync(folder);
  const port = stream.port();
  port.state = state;
  const found = { isServing: false, nowMs: 0, reason: '' };
  const under = replicatedLogUnderTest(stream, root, folder, {
    port,
    monotonicMs: () => found.nowMs,
    onServing: () => {
      found.isServing = true;
    },
    onStorage: (_, reason) => {
      found.reason = reason;
    },
  });
  const memory = new LogMemory();
  const log = under.open(memory, 1).log as ReplicatedLog;
  const step = () => {
    found.nowMs += STEP_MS;
    log.step();
  };
  return { log, memory, port, found, step };
}

for (const type of ['up', 'refusing'] as const) {
  t.test(`a stream that is ${type} is read to its end first`, (t) => {
    const stream = streamWithEvents(t);
    const reason = 'maximum bytes exceeded';
    const { log, found, step } = open(t, stream, type === 'up' ? { type } : { type, reason });
    const end = stream.stored.length;
    let steps = 0;
    for (; log.state.position < end; steps++) {
      t.equal(found.isServing, false, `at ${log.state.position} of ${end}`);
      step();
    }
    t.ok(steps > 2);
    step();
    t.equal(found.isServing, true);
    if (type === 'refusing') t.equal(found.reason, reason, 'no writes meanwhile');
    t.end();
  });
}

t.test('one that can not be reached is not waited for', (t) => {
  const stream = streamWithEvents(t);
  const { log, found, step } = open(t, stream, { type: 'down', reason: 'away' });
  step();
  t.equal(log.state.position, 0);
  t.equal(found.isServing, true, 'with what it has');
  t.end();
});
