/**
 * What the outcome window tells: for every event under the applied watermark, what its applier
 * wrote; nothing for those above it, beyond the log, or older than the window.
 */
import t from 'tap';
import {
  OUTCOME_APPLIED,
  OUTCOME_DEAD,
  OUTCOME_REFUSED,
  OUTCOME_STALE,
  OutcomeReader,
  OutcomeWindow,
} from '../../src/outcome/outcome-window.ts';
import { LogProgress, OWN_DOUBLES, PROGRESS_BYTES } from '../../src/ring/progress.ts';

const EVENTS = 6;

function world() {
  const window = new OutcomeWindow(OutcomeWindow.create(EVENTS));
  const progress = new LogProgress(new SharedArrayBuffer(PROGRESS_BYTES));
  const applied = { seq: 0 };
  const reader = new OutcomeReader({ window, events: EVENTS, progress, watermark: applied });
  const commit = (nextSeq: number) => {
    progress.store({
      nextSeq,
      commitHead: 0,
      liveTail: 0,
      bulkTail: 0,
      own: new Float64Array(OWN_DOUBLES),
    });
  };
  return { window, applied, reader, commit };
}

t.test('each outcome by its name, once it is under the watermark', (t) => {
  const { window, applied, reader, commit } = world();
  t.equal(reader.outcomeOf(1), 'unknown', 'before the log is open');
  commit(6);
  t.equal(reader.outcomeOf(1), 'durable');
  t.equal(reader.outcomeOf(6), 'unknown');
  const written = [OUTCOME_APPLIED, OUTCOME_STALE, OUTCOME_REFUSED, OUTCOME_DEAD];
  for (const [i, outcome] of written.entries()) window.store(i + 1, outcome);
  t.equal(reader.outcomeOf(1), 'durable', 'written, but not yet under the watermark');
  applied.seq = 5;
  t.same(
    [1, 2, 3, 4, 5].map((seq) => reader.outcomeOf(seq)),
    ['applied', 'stale', 'refused', 'dead', 'expired'],
    'and "expired" for what was never written since the start',
  );
  t.end();
});

t.test('exactly the last OUTCOME_WINDOW events are told, also past 2^32', (t) => {
  for (const first of [1, 2 ** 31 - 4, 2 ** 32 - 4, 2 ** 53 - 20]) {
    const { window, applied, reader, commit } = world();
    t.equal(window.capacity, 8);
    for (let seq = first; seq < first + 10; seq++) {
      commit(seq + 1);
      window.store(seq, seq % 2 === 0 ? OUTCOME_APPLIED : OUTCOME_STALE);
      applied.seq = seq;
    }
    for (let seq = first; seq < first + 10; seq++) {
      const told = seq % 2 === 0 ? 'applied' : 'stale';
      t.equal(reader.outcomeOf(seq), seq < first + 10 - EVENTS ? 'expired' : told, `seq ${seq}`);
    }
  }
  t.end();
});

t.test('an event that is committed while its place is read does not lend it its outcome', (t) => {
  const { window, applied, reader, commit } = world();
  commit(3);
  window.store(2, OUTCOME_STALE);
  applied.seq = 2;
  t.equal(reader.outcomeOf(2), 'stale');
  // Seq 10 stands in the same place, and its applier may be ahead of the others.
  commit(11);
  window.store(10, OUTCOME_APPLIED);
  t.equal(reader.outcomeOf(2), 'expired');
  t.equal(reader.outcomeOf(10), 'durable');
  t.end();
});
