/** When an instance of a cluster that does not write the history takes it over, and what it says until then. */
import { join } from 'node:path';
import t from 'tap';
import { HistoryControl } from '../../src/history/history-control.ts';
import { runHistory } from '../../src/history/history-thread.ts';
import type { HistoryLook, PostgresStandby } from '../../src/history/postgres/postgres-standby.ts';
import { StandingBy } from '../../src/history/standing-by.ts';
import { FolderGuard } from '../../src/log/folder-guard.ts';
import { LogProgress, OWN_DOUBLES } from '../../src/ring/progress.ts';
import { planStore } from '../../src/store/sizing.ts';
import { createSharedMemory } from '../../src/write-path/memory.ts';
import { polled } from '../helpers/bounded.ts';
import { tempDir } from '../helpers/disks/temp-dir.ts';

function setup(looks: (HistoryLook | Error)[]) {
  const memory = createSharedMemory({ queueSize: 1, appliers: 1, store: planStore(4096, 1) });
  const buffer = HistoryControl.create();
  const control = new HistoryControl(buffer);
  const progress = new LogProgress(memory.progress);
  const apply = (seq: number) => {
    const own = new Float64Array(OWN_DOUBLES);
    progress.store({ nextSeq: seq + 1, commitHead: 0, liveTail: 0, bulkTail: 0, own });
  };
  const seen = { looks: 0, closed: 0 };
  let onLook: (number: number) => void = () => undefined;
  const standby = {
    look: async () => {
      onLook(++seen.looks);
      const look = looks[Math.min(seen.looks, looks.length) - 1];
      if (look instanceof Error) throw look;
      return look;
    },
    close: async () => void seen.closed++,
  };
  const standingBy = new StandingBy(standby as unknown as PostgresStandby, control, memory);
  const during = (call: (look: number) => void) => {
    onLook = call;
  };
  return { standingBy, control, buffer, memory, apply, seen, during };
}

t.test('follows the one that writes, and goes on when there is none', async (t) => {
  const looks = [3, 5, 5].map((seq, i) => ({ seq, isFree: i === 2 }));
  const { standingBy, control, apply, seen, during } = setup(looks);
  apply(5);
  const places: number[][] = [];
  during(() => {
    places.push([control.place, control.flushed]);
    t.equal(control.isStandingBy, true);
  });
  await standingBy.untilFree();
  t.strictSame(places, [
    [0, 0],
    [3, 3],
    [5, 5],
  ]);
  t.equal(control.isOpened, true, 'questions are answered');
  t.ok(control.caughtUpMs > 0);
  t.equal(control.isStandingBy, false);
  t.equal(seen.closed, 1, 'the connection is for the writer');
});

t.test('one that is not as far leaves it to another', async (t) => {
  const { standingBy, apply, seen, during } = setup([{ seq: 5, isFree: true }]);
  apply(4);
  during((look) => {
    if (look === 3) apply(5);
  });
  await standingBy.untilFree();
  t.equal(seen.looks, 3);
});

t.test('what is not called as this generation yet is not answered from', async (t) => {
  const looks = [
    { seq: undefined, isFree: false },
    { seq: undefined, isFree: true },
  ];
  const { standingBy, control, apply } = setup(looks);
  apply(1);
  await standingBy.untilFree();
  t.equal(control.isOpened, false);
  t.equal(control.place, 0);
});

t.test('ends when it is to stop, and says what the database says', async (t) => {
  const stopping = setup([{ seq: 1, isFree: false }]);
  stopping.apply(1);
  stopping.during(() => stopping.control.stop());
  await stopping.standingBy.untilFree();
  t.equal(stopping.seen.looks, 1);
  const failing = setup([new Error('no connection')]);
  await t.rejects(failing.standingBy.untilFree(), /no connection/);
  t.equal(failing.seen.closed, 1);
  t.equal(failing.control.isStandingBy, false);
});

t.test('who writes after a thread that died standing by does not stand by', async (t) => {
  const folder = tempDir(t);
  const { memory, control, buffer, apply } = setup([]);
  apply(0);
  control.isStandingBy = true;
  const running = runHistory(
    {
      memory,
      control: buffer,
      target: { kind: 'file', path: join(folder, 'history.db') },
      logFolder: folder,
      held: { root: folder, log: folder, checkpoint: folder, guard: FolderGuard.create() },
      outcomeEvents: 1,
      keepMs: undefined,
      freedUntil: 0,
    },
    () => undefined,
  );
  await polled(() => (control.isOpened ? true : undefined), 60_000, 'the history to be open');
  t.equal(control.isStandingBy, false);
  control.stop();
  await running;
});
