/** What the watch of the clock says, and when it keeps quiet. */
import t, { type Test } from 'tap';
import { ClockWatch } from '../../src/time/clock-watch.ts';

const NOON_MS = Date.UTC(2026, 10, 29, 12);

function watched(t: Test) {
  const lines: [object, string][] = [];
  const clock = { wallMs: NOON_MS, steadyMs: 1000, readingMs: 0 };
  const logger = { warn: (...line: [object, string]) => void lines.push(line) };
  const watch = new ClockWatch(logger as unknown as ConstructorParameters<typeof ClockWatch>[0], {
    wallMs: () => {
      clock.steadyMs += clock.readingMs;
      return clock.wallMs;
    },
    steadyMs: () => clock.steadyMs,
  });
  t.teardown(() => watch.stop());
  /** Both clocks go on, the wall clock by so much more. */
  const pass = (ms: number, moreMs = 0) => {
    clock.steadyMs += ms;
    clock.wallMs += ms + moreMs;
    watch.look();
    return lines.splice(0);
  };
  return { clock, pass };
}

t.test('tells when the clock was set back or jumped forward, once', async (t) => {
  const { pass } = watched(t);
  t.same(pass(1000), []);
  t.same(pass(1000, -3_600_000), [
    [
      { byMs: -3_600_000, now: '2026-11-29T11:00:02.000Z' },
      'clock: it was set back by 3600 s and says 2026-11-29T11:00:02.000Z',
    ],
  ]);
  t.same(pass(1000), []);
  t.same(pass(1000, 7_200_000), [
    [
      { byMs: 7_200_000, now: '2026-11-29T13:00:04.000Z' },
      'clock: it jumped forward by 7200 s and says 2026-11-29T13:00:04.000Z',
    ],
  ]);
  t.same(pass(3_600_000), [], 'a look that comes late is no jump');
});

t.test('says nothing of a clock that is slewed, nor when it was held up between two', async (t) => {
  const { clock, pass } = watched(t);
  for (let n = 0; n < 100; n++) t.same(pass(1000, 30), []);
  clock.readingMs = 5000;
  t.same(pass(1000, 0), []);
  clock.readingMs = 0;
  clock.wallMs += 5000;
  t.same(pass(1000, 0), []);
});
