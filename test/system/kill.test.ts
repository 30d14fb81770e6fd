/**
 * `kill -9` under mixed load, again and again on one data folder: writers, readers, small segments
 * and checkpoints under way; and, every other time, while it starts. Whatever was acknowledged is there, whatever was refused is not.
 * By hand as often as wished: `make test-kill ROUNDS=500`.
 */
import { existsSync, readdirSync } from 'node:fs';
import { join } from 'node:path';
import t, { type Test } from 'tap';
import { AckLedger } from '../helpers/clients/ack-ledger.ts';
import { read } from '../helpers/clients/readers.ts';
import { faultsOf, type Tally, write } from '../helpers/clients/writers.ts';
import { tempDir } from '../helpers/disks/temp-dir.ts';
import { Random, testSeed } from '../helpers/models/random.ts';
import { ServiceProcess } from '../helpers/processes/service-process.ts';

const ROUNDS = Number(process.env.ROUNDS ?? 6);
/** The log is replaced by checkpoints as fast as the configuration lets it. */
const ENV = {
  MAX_MEMORY_USAGE: '16MB',
  WORKERS: '2',
  SHARDS: '4',
  SEGMENT_SIZE: '1MB',
  CHECKPOINT_EVERY: '1MB',
  LOG_RETENTION: '0B',
};
const CHECKPOINT_DONE = '"msg":"checkpoint: ';
const WRITERS = 40;
const READERS = 4;
/** Acknowledgements in which what a round waits for must come. */
const AT_MOST = 200_000;

/** What a round waits for, and how many acknowledgements more there are at the most until it ends. */
const MOMENTS = [
  { what: 'any moment', hasCome: () => true, laterMax: 2_500 },
  { what: 'a checkpoint under way', hasCome: isUnderWay, laterMax: 150 },
  { what: 'any moment', hasCome: () => true, laterMax: 2_500 },
  // What it makes superfluous is removed then.
  { what: 'a checkpoint just published', hasCome: isPublished, laterMax: 20 },
  { what: 'a checkpoint done', hasCome: isDone, laterMax: 2_500 },
];

/** For rounds more, where no kill of the others fell into a checkpoint. */
const AT_ONCE = { what: 'a checkpoint under way', hasCome: isUnderWay, laterMax: 1 };
const MORE_ROUNDS = 10;

const seed = testSeed();

t.test(`killed ${ROUNDS} times under load (seed ${seed})`, async (t) => {
  const random = new Random(seed);
  const cwd = tempDir(t);
  const ledger = new AckLedger();
  const totals: Tally = { checkpoints: 0, 'killed in a checkpoint': 0 };

  const isInCheckpoint = () => ROUNDS < 2 || totals['killed in a checkpoint'] > 0;
  const isOver = (round: number) =>
    round > ROUNDS + MORE_ROUNDS || (round > ROUNDS && isInCheckpoint());
  for (let round = 1; !isOver(round); round++) {
    if (round % 2 === 0) await killWhileStarting(t, cwd, random);
    const service = await ServiceProcess.start(t, { cwd, env: ENV });
    const port = await service.ready();
    const here = `round ${round}`;
    t.strictSame(await faultsOf(ledger, port), [], `${here}: every product is as it must be`);

    const moment = round > ROUNDS ? AT_ONCE : MOMENTS[(round - 1) % MOMENTS.length];
    const state = { cwd, service, published: publishedIn(cwd) };
    const later = 1 + random.below(moment.laterMax);
    let killAt = Number.POSITIVE_INFINITY;
    const giveUpAt = ledger.acknowledgements + AT_MOST;
    const onAcknowledged = () => {
      const now = ledger.acknowledgements;
      if (killAt === Number.POSITIVE_INFINITY && moment.hasCome(state)) killAt = now + later;
      if (now === killAt || now === giveUpAt) service.kill('SIGKILL');
    };
    const load = { port, ledger, connections: WRITERS, products: 5, eventsMax: 1_000_000 };
    const [writes, reads] = await Promise.all([
      write({ ...load, onAcknowledged }),
      read({ port, connections: READERS, readsMax: 1_000_000 }),
    ]);
    t.strictSame(await service.exit(), { code: null, signal: 'SIGKILL' });
    const outcomes = [...Object.keys(writes), ...Object.keys(reads)];
    t.strictSame(
      outcomes.filter((outcome) => !/^(?:202|200|404|ECONN.*|EPIPE.*|socket.*)$/.test(outcome)),
      [],
      `${here}: nothing else was answered`,
    );
    const broken = outcomes.filter((outcome) => /^ECONN/.test(outcome));
    t.ok(broken.length > 0, `${here}: it was under load: ${JSON.stringify({ writes, reads })}`);
    t.ok(ledger.acknowledgements >= killAt, `${here}: killed ${later} after ${moment.what}`);
    count(totals, 'checkpoints', service.stdout.split(CHECKPOINT_DONE).length - 1);
    count(totals, 'killed in a checkpoint', isUnderWay(state) ? 1 : 0);
    for (const [outcome, times] of Object.entries(writes)) count(totals, outcome, times);
    for (const [outcome, times] of Object.entries(reads)) count(totals, `read ${outcome}`, times);
  }
  t.comment(totals);
  t.ok(isInCheckpoint(), 'some kills fell into a checkpoint');
  t.ok(ROUNDS < 5 || totals.checkpoints > 0, 'some came after one');

  const last = await ServiceProcess.start(t, { cwd, env: ENV });
  t.strictSame(await faultsOf(ledger, await last.ready()), [], 'after the last: the same');
  t.strictSame(await last.stop(), { code: 0, signal: null }, 'and it stops cleanly');
  const verify = ServiceProcess.spawn(t, { cwd, args: ['verify', 'data'] });
  t.strictSame(await verify.exit(), { code: 0, signal: null }, verify.stderr);
});

/** One start more, killed while it restores and replays, or a little before or after that. */
async function killWhileStarting(t: Test, cwd: string, random: Random): Promise<void> {
  const service = await ServiceProcess.start(t, { cwd, env: ENV });
  await service.logged('store: room');
  for (let turns = random.below(random.pick([2, 50, 500])); turns > 0; turns--) {
    await new Promise(setImmediate);
  }
  service.kill('SIGKILL');
  t.strictSame(await service.exit(), { code: null, signal: 'SIGKILL' });
}

/** What a moment is recognised by. */
interface RoundState {
  readonly cwd: string;
  readonly service: ServiceProcess;
  /** The checkpoints that there were when the round began. */
  readonly published: readonly string[];
}

function checkpointsIn(cwd: string): string[] {
  const folder = join(cwd, 'data/checkpoint');
  return existsSync(folder) ? readdirSync(folder) : [];
}

/** A checkpoint has a temporary name until it is whole. */
function publishedIn(cwd: string): string[] {
  return checkpointsIn(cwd).filter((name) => !name.endsWith('.tmp'));
}

function isUnderWay({ cwd }: RoundState): boolean {
  return checkpointsIn(cwd).some((name) => name.endsWith('.tmp'));
}

function isPublished({ cwd, published }: RoundState): boolean {
  return publishedIn(cwd).some((name) => !published.includes(name));
}

function isDone({ service }: RoundState): boolean {
  return service.stdout.includes(CHECKPOINT_DONE);
}

function count(tally: Tally, what: string, times: number): void {
  tally[what] = (tally[what] ?? 0) + times;
}
