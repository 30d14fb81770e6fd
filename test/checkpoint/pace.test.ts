/** When a checkpoint asks how much it must work, and when it works as fast as it can. */
import t from 'tap';
import { Cancelled, PACE_BUSY, PACE_CANCEL, PACE_WORDS, Pace } from '../../src/checkpoint/pace.ts';

function world(isPaced = true) {
  const control = new Int32Array(new SharedArrayBuffer(PACE_WORDS * 4));
  const state = { nextSeq: 1, asked: 0 };
  const pace = new Pace({
    control,
    isPaced,
    nextSeq: () => state.nextSeq,
    need: () => {
      state.asked++;
      return 1;
    },
  });
  return { control, state, pace };
}

t.test('nobody is there: at full speed', async (t) => {
  const { pace, state } = world();
  const { flushBytes } = pace;
  t.ok(pace.rest());
  t.equal(state.asked, 0);
  t.ok(flushBytes > 0);
});

t.test('events come: no faster than needed, and smaller pieces', async (t) => {
  const { pace, state } = world();
  const { flushBytes } = pace;
  state.nextSeq++;
  t.ok(pace.flushBytes < flushBytes);
  // If this thread stood still meanwhile, nobody would be there by now.
  state.nextSeq++;
  t.ok(pace.rest());
  t.equal(state.asked, 1);
});

t.test('reads alone are traffic, too, for as long as they keep the main thread busy', async (t) => {
  const { control, pace, state } = world();
  const { flushBytes } = pace;
  Atomics.store(control, PACE_BUSY, 1);
  t.ok(pace.flushBytes < flushBytes);
  t.ok(pace.rest());
  t.equal(state.asked, 1);
});

t.test('unpaced it looks at nothing but whether it is given up', async (t) => {
  const { control, pace, state } = world(false);
  Atomics.store(control, PACE_BUSY, 1);
  state.nextSeq++;
  t.ok(pace.rest());
  t.equal(state.asked, 0);
  pace.look();
  Atomics.store(control, PACE_CANCEL, 1);
  t.notOk(pace.rest());
  t.throws(() => pace.look(), new Cancelled());
});
