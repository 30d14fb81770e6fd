/** The watchdog on progress: who is stalled, since when, and who only waits for somebody else. */
import t from 'tap';
import { ProgressWatch, type Stall, type Work } from '../../src/health/progress-watch.ts';

const LIMIT_MS = 1000;
/** A tenth of it: how often it looks. */
const LOOK_MS = 100;

class Worker implements Work {
  readonly name: string;
  readonly behind: readonly string[];
  waiting = 0;
  at = 0;

  constructor(name: string, ...behind: readonly string[]) {
    this.name = name;
    this.behind = behind;
  }

  pending = () => this.waiting;
  position = () => this.at;
}

function watched(...works: readonly Worker[]) {
  const said: string[] = [];
  let nowMs = 0;
  const watch = new ProgressWatch({
    works,
    limitMs: LIMIT_MS,
    onStall: ({ name, pending }: Stall) => said.push(`${name} stalls with ${pending}`),
    onProgress: (name) => said.push(`${name} goes on`),
    nowMs: () => nowMs,
  });
  watch.stop(); // the test looks
  const pass = (ms: number) => {
    for (let passed = 0; passed < ms; passed += LOOK_MS) {
      nowMs += LOOK_MS;
      watch.look();
    }
  };
  const skip = (ms: number) => {
    nowMs += ms;
    watch.look();
  };
  return { watch, said, pass, skip };
}

t.test('stalled is who stands still for the limit with work waiting, until the next step', (t) => {
  const log = new Worker('log');
  const { watch, said, pass } = watched(log);
  pass(5 * LIMIT_MS);
  t.strictSame(watch.stalls, [], 'idle is not stalled');
  log.waiting = 3;
  pass(LIMIT_MS - LOOK_MS);
  t.strictSame(watch.stalls, []);
  pass(LOOK_MS);
  t.strictSame(watch.stalls, [{ name: 'log', pending: 3, forMs: LIMIT_MS }]);
  log.waiting = 4;
  pass(LIMIT_MS);
  t.strictSame(watch.stalls, [{ name: 'log', pending: 4, forMs: 2 * LIMIT_MS }]);
  t.strictSame(said, ['log stalls with 3'], 'it is said once');
  log.at++;
  pass(LOOK_MS);
  t.strictSame(watch.stalls, []);
  t.strictSame(said, ['log stalls with 3', 'log goes on']);
  t.end();
});

t.test('one step within the limit is progress, however much waits', (t) => {
  const log = new Worker('log');
  log.waiting = 1_000_000;
  const { watch, pass } = watched(log);
  for (let i = 0; i < 20; i++) {
    pass(LIMIT_MS - LOOK_MS);
    log.at++;
    pass(LOOK_MS);
  }
  t.strictSame(watch.stalls, []);
  t.end();
});

t.test('work that is taken away ends the stall', (t) => {
  const log = new Worker('log');
  log.waiting = 1;
  const { watch, said, pass } = watched(log);
  pass(LIMIT_MS);
  log.waiting = 0;
  pass(LOOK_MS);
  t.strictSame(watch.stalls, []);
  t.strictSame(said, ['log stalls with 1', 'log goes on']);
  t.end();
});

t.test('who waits for one that is stalled is not, and has its whole time afterwards', (t) => {
  const applier = new Worker('applier 0');
  const log = new Worker('log', 'applier 0');
  const { watch, said, pass } = watched(applier, log);
  applier.waiting = 1;
  pass(LIMIT_MS / 2);
  log.waiting = 1;
  pass(5 * LIMIT_MS);
  t.strictSame(
    watch.stalls.map(({ name }) => name),
    ['applier 0'],
  );
  applier.at++;
  applier.waiting = 0;
  pass(LIMIT_MS - LOOK_MS);
  t.strictSame(watch.stalls, []);
  pass(LOOK_MS);
  t.strictSame(said, ['applier 0 stalls with 1', 'applier 0 goes on', 'log stalls with 1']);
  t.end();
});

t.test('a time in which nobody could look, or move, is none', (t) => {
  const log = new Worker('log');
  log.waiting = 1;
  const { watch, skip, pass } = watched(log);
  pass(LOOK_MS);
  skip(1000 * LIMIT_MS);
  t.strictSame(watch.stalls, []);
  pass(LIMIT_MS);
  t.equal(watch.stalls.length, 1);
  t.end();
});
