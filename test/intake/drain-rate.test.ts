/** Retry-After from the measured drain rate, on a clock of the test's own. */
import t from 'tap';
import { DrainRate } from '../../src/intake/drain-rate.ts';

t.test('at least one second, whatever was measured', (t) => {
  const rate = new DrainRate();
  t.equal(rate.secondsFor(0, 0), 1, 'nothing waits, nothing is known');
  t.equal(rate.secondsFor(1_000_000, 0), 1, 'nothing is known yet');
  rate.started(0);
  rate.settled(1000, 10);
  t.equal(rate.secondsFor(1000, 10), 1, '10 ms of work');
  t.end();
});

t.test('as long as the rate says, rounded up, at most a minute', (t) => {
  const rate = new DrainRate();
  rate.started(1000);
  rate.settled(10, 2000);
  t.equal(rate.secondsFor(10, 2000), 1);
  t.equal(rate.secondsFor(11, 2000), 2);
  t.equal(rate.secondsFor(25, 2000), 3);
  t.equal(rate.secondsFor(10_000, 2000), 60);
  t.end();
});

t.test('a queue that stands still is expected to go on standing', (t) => {
  const rate = new DrainRate();
  rate.started(0);
  rate.settled(1000, 1);
  t.equal(rate.secondsFor(5, 8001), 8);
  t.equal(rate.secondsFor(0, 8001), 1, 'an empty one does not stand still');
  t.end();
});

t.test('a change of speed comes through in a few batches', (t) => {
  const rate = new DrainRate();
  rate.started(0);
  let nowMs = 0;
  for (; nowMs < 200; nowMs += 10) rate.settled(100, nowMs + 10);
  t.equal(rate.secondsFor(10_000, nowMs), 1);
  for (; nowMs < 400; nowMs += 10) rate.settled(1, nowMs + 10);
  t.ok(rate.secondsFor(10_000, nowMs) > 30, `${rate.secondsFor(10_000, nowMs)} s`);
  t.end();
});
