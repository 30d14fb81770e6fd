/** The log's time: never back, across deaths of the thread, starts and restores; and its one exception. */
import { join } from 'node:path';
import t, { type Test } from 'tap';
import { DedupeWindow } from '../../src/dedupe/dedupe-window.ts';
import { ReceiptWindow } from '../../src/dedupe/receipt-window.ts';
import { CommitPublisher } from '../../src/log/commit-publisher.ts';
import { NodeFileSystem } from '../../src/log/file-system.ts';
import { logTimeAfter, TRUSTED_AHEAD_MS } from '../../src/log/log-clock.ts';
import { type LogTail, Sequencer } from '../../src/log/sequencer.ts';
import { recover } from '../../src/recovery/recovery.ts';
import { CommitRing } from '../../src/ring/commit-ring.ts';
import { INTAKE_HEAD, INTAKE_STOP, IntakeRing, publishHead } from '../../src/ring/intake-ring.ts';
import { LogProgress, PROGRESS_BYTES } from '../../src/ring/progress.ts';
import { SLOT_DOUBLES, SLOT_OCCURRED_AT, type SlotViews } from '../../src/ring/slot.ts';
import { takeOver } from '../../src/write-path/log-thread.ts';
import { BuiltData } from '../helpers/disks/built-data.ts';
import { tempDir } from '../helpers/disks/temp-dir.ts';
import { putEvent } from '../helpers/models/plain-event.ts';
import { Random } from '../helpers/models/random.ts';

const KEY = { k0: 1, k1: 2 };
const HOUR_MS = 3_600_000;
const NOON_MS = Date.UTC(2026, 10, 29, 12);

t.test('stands still while the clock is behind, and follows it from further back', async (t) => {
  t.equal(logTimeAfter(0, NOON_MS), NOON_MS);
  t.equal(logTimeAfter(NOON_MS, NOON_MS + 1), NOON_MS + 1);
  t.equal(logTimeAfter(NOON_MS, NOON_MS), NOON_MS);
  t.equal(logTimeAfter(NOON_MS, NOON_MS - HOUR_MS), NOON_MS);
  t.equal(logTimeAfter(NOON_MS, NOON_MS - TRUSTED_AHEAD_MS), NOON_MS);
  const before = NOON_MS - TRUSTED_AHEAD_MS - 1;
  t.equal(logTimeAfter(NOON_MS, before), before);
});

/** A log in this thread, whose clock the test sets. */
class ClockedLog {
  nowMs = NOON_MS;
  readonly live = IntakeRing.create(16);
  readonly bulk = IntakeRing.create(16);
  readonly #folder: string;
  readonly #progress = new LogProgress(new SharedArrayBuffer(PROGRESS_BYTES));
  readonly #dedupe = new DedupeWindow(DedupeWindow.create(1000), KEY);
  readonly #receipts = new ReceiptWindow(ReceiptWindow.createFor(1), KEY);
  readonly #ring = CommitRing.create(64, 0);
  #commits = new CommitPublisher(this.#ring);
  #sequencer: Sequencer;

  constructor(root: string) {
    this.#folder = root;
    this.#sequencer = this.#open(recoverAt(root, []));
  }

  /** The thread dies; its successor goes on. */
  replace(): void {
    const died = this.#progress.load();
    if (died === undefined) throw new Error('no progress');
    this.#commits = new CommitPublisher(this.#ring);
    const intakes = { live: this.live, bulk: this.bulk };
    const left = { intakes, dedupe: this.#dedupe, receipts: this.#receipts };
    this.#sequencer = this.#open(takeOver(left, this.#commits, died));
  }

  /** Commits one event in each ring; when they occurred, as appliers see it. */
  commit(isArrival: boolean): number[] {
    for (const ring of [this.live, this.bulk]) {
      const head = ring.cursors[INTAKE_HEAD];
      const event = { seq: 0, productId: 'p', price: 1, stock: 2, occurredAtMs: 5, isArrival };
      putEvent(ring.slots, head & ring.mask, event, KEY);
      publishHead(ring, (head + 1) | 0, this.live);
    }
    const from = this.#commits.head;
    if (!this.#sequencer.commitPending()) throw new Error('not committed');
    const { slots, mask, commitTimes } = this.#ring;
    return [0, 1].flatMap((i) => {
      const index = (from + i) & mask;
      const at = slots.doubles[index * SLOT_DOUBLES + SLOT_OCCURRED_AT];
      return isArrival ? [at, commitTimes[index]] : [at];
    });
  }

  close(): void {
    Atomics.store(this.live.cursors, INTAKE_STOP, 1);
    this.#sequencer.run();
  }

  #open(tail: LogTail): Sequencer {
    return new Sequencer(
      {
        intakes: { live: this.live, bulk: this.bulk },
        dedupe: this.#dedupe,
        receipts: this.#receipts,
        commits: this.#commits,
        progress: this.#progress,
        files: new NodeFileSystem(),
        folder: this.#folder,
        segmentBytesMax: 1 << 20,
        nowMs: () => this.nowMs,
        onStorage: () => undefined,
      },
      tail,
    );
  }
}

/** Recovers the log in `folder`; `times` gets when its events occurred. */
function recoverAt(folder: string, times: number[], checkpoints = folder): LogTail {
  return recover({
    files: new NodeFileSystem(),
    folder,
    checkpoints,
    sink: {
      entries: () => undefined,
      keys: () => undefined,
      receipts: () => undefined,
      outcomes: () => undefined,
      frame: ({ doubles }: SlotViews, first, { count }) => {
        for (let i = first; i < first + count; i++) {
          times.push(doubles[i * SLOT_DOUBLES + SLOT_OCCURRED_AT]);
        }
      },
      finish: () => undefined,
    },
    report: () => undefined,
  });
}

function timesOf(folder: string): number[] {
  const times: number[] = [];
  recoverAt(folder, times);
  return times;
}

function fourTimes(ms: number): number[] {
  return [ms, ms, ms, ms];
}

t.test('an arrival is the time of its batch, on disk as for the appliers', async (t: Test) => {
  const folder = tempDir(t);
  const log = new ClockedLog(folder);
  t.same(log.commit(true), fourTimes(NOON_MS));
  t.same(log.commit(false), [5, 5], 'a time of its own stays');
  log.nowMs = NOON_MS - HOUR_MS;
  t.same(log.commit(true), fourTimes(NOON_MS), 'the clock was set back');
  log.replace();
  t.same(log.commit(true), fourTimes(NOON_MS), 'and the thread died');
  log.nowMs = NOON_MS + 1;
  t.same(log.commit(true), fourTimes(NOON_MS + 1));
  log.nowMs = NOON_MS - TRUSTED_AHEAD_MS;
  t.same(log.commit(true), fourTimes(NOON_MS - TRUSTED_AHEAD_MS), 'it must have been wrong');
  const [wrong, right] = [NOON_MS + 1, NOON_MS - TRUSTED_AHEAD_MS];
  const pairs = [NOON_MS, 5, NOON_MS, NOON_MS, wrong, right];
  t.same(
    timesOf(folder),
    pairs.flatMap((ms) => [ms, ms]),
  );
});

t.test('a start goes on from the last frame, sealed or not', async (t: Test) => {
  for (const isSealed of [false, true]) {
    const folder = tempDir(t);
    const log = new ClockedLog(folder);
    log.commit(true);
    log.nowMs += 7;
    log.commit(false);
    if (isSealed) log.close();
    t.equal(recoverAt(folder, []).lastTimeMs, NOON_MS + 7);
    const again = new ClockedLog(folder);
    again.nowMs = NOON_MS - HOUR_MS;
    t.same(again.commit(true), fourTimes(NOON_MS + 7));
  }
  t.equal(recoverAt(tempDir(t), []).lastTimeMs, 0);
});

/** One whose last event takes effect: a stale one updates nothing. */
const SEED = 10;

t.test('a start without a frame goes on from the newest update in the checkpoint', async (t) => {
  const data = new BuiltData(join(tempDir(t), 'data'), new Random(SEED));
  data.segment(3);
  const last = data.events.length;
  data.checkpoint().segment(0).abandon();
  const { lastTimeMs } = recoverAt(data.logFolder, [], data.checkpointFolder);
  t.equal(lastTimeMs, last, "the built data's clock is its seq");
});
