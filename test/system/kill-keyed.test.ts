/**
 * `kill -9`, again and again, and after each a client that repeats under the same keys: what was
 * answered has the same seq, what was not is there once. By hand: `ROUNDS=200 npx tap <this file>`.
 */
import { spawn } from 'node:child_process';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import t from 'tap';
import { recovered } from '../helpers/disks/log-life.ts';
import { tempDir } from '../helpers/disks/temp-dir.ts';
import { Random, testSeed } from '../helpers/models/random.ts';

const WRITER = fileURLToPath(new URL('./keyed-process.ts', import.meta.url));
const ROUNDS = Number(process.env.ROUNDS ?? 5);
/** As many more at the most, until a kill fell between a flush and its answer. */
const MORE_ROUNDS = 10;
/** Keys that a process may begin with; it is killed long before it is through. */
const KEYS = 20_000;
/** Keys that a writer has begun and not answered, at the most: twice its queue. */
const BEGUN_MAX = 1000;
const seed = testSeed();

interface Answer {
  readonly n: number;
  readonly seq: number;
  readonly isReplayed: boolean;
}

/** Runs a writer; it is killed when `isEnough` says so. Resolves to whether it was. */
function runWriter(
  dataDir: string,
  from: number,
  to: number,
  repeated: readonly number[],
  onAnswer: (answer: Answer) => void,
  isEnough: () => boolean,
): Promise<boolean> {
  const args = [WRITER, dataDir, from, to, ...repeated].map(String);
  const child = spawn(process.execPath, args, { stdio: ['ignore', 'pipe', 'inherit'] });
  const kill = () => child.kill('SIGKILL');
  process.once('exit', kill);
  createInterface(child.stdout).on('line', (line) => {
    const [n, seq, how] = line.split(' ');
    onAnswer({ n: Number(n), seq: Number(seq), isReplayed: how === 'replayed' });
    if (isEnough()) kill();
  });
  return new Promise((resolve) => {
    child.on('close', (_, signal) => {
      process.off('exit', kill);
      resolve(signal === 'SIGKILL');
    });
  });
}

t.test(`killed ${ROUNDS} times, repeated each time (seed ${seed})`, async (t) => {
  const random = new Random(seed);
  const dataDir = tempDir(t);
  /** The seq that each key was answered with. */
  const seqs = new Map<number, number>();
  const faults: string[] = [];
  const counts = { answers: 0, 'replayed, answered before': 0, 'replayed, never answered': 0 };
  const onAnswer = ({ n, seq, isReplayed }: Answer) => {
    const before = seqs.get(n);
    counts.answers++;
    if (before !== undefined && !isReplayed) faults.push(`key ${n}: new again as ${seq}`);
    if (before !== undefined && before !== seq) faults.push(`key ${n}: ${seq} after ${before}`);
    if (isReplayed && before !== undefined) counts['replayed, answered before']++;
    if (isReplayed && before === undefined) counts['replayed, never answered']++;
    seqs.set(n, seq);
  };

  let from = 1;
  let open: number[] = [];
  const isOver = (round: number) =>
    round > ROUNDS + MORE_ROUNDS || (round > ROUNDS && counts['replayed, never answered'] > 0);
  for (let round = 1; !isOver(round); round++) {
    const wanted = counts.answers + 200 + random.below(2000);
    const answered = [...seqs.keys()];
    const known = Array.from({ length: Math.min(50, answered.length) }, () =>
      random.pick(answered),
    );
    const to = from + KEYS - 1;
    const isEnough = () => counts.answers >= wanted;
    const wasKilled = await runWriter(dataDir, from, to, [...open, ...known], onAnswer, isEnough);
    t.ok(wasKilled, `round ${round}: killed after ${seqs.size} keys`);
    // The writer goes through its keys in order; further ones than these were not begun.
    const end = Math.max(...seqs.keys()) + BEGUN_MAX;
    open = [];
    for (let n = 1; n <= end; n++) if (!seqs.has(n)) open.push(n);
    from = end + 1;
  }
  await runWriter(dataDir, from, from, open, onAnswer, () => false);
  t.same(faults, []);
  t.ok(counts['replayed, never answered'] > 0, JSON.stringify(counts));

  const { events } = recovered(dataDir);
  t.equal(events.length, seqs.size, 'every key is in the log once');
  const misplaced = events.filter(({ price }, i) => seqs.get(price as number) !== i + 1);
  t.same(misplaced, [], 'under the seq that was told');
});
