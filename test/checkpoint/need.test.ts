/** How hard a checkpoint works: as little as keeps the log behind it within CHECKPOINT_EVERY. */
import t from 'tap';
import { LogRate } from '../../src/checkpoint/log-rate.ts';
import { needOf, type PendingPart } from '../../src/checkpoint/need.ts';
import { SLOT_BYTES } from '../../src/ring/slot.ts';

const EVERY = 256e6;
const MB = 1e6;

function need(pending: readonly PendingPart[], logBytesPerSecond: number): number {
  return needOf({ pending, everyBytes: EVERY, logBytesPerSecond, bytesPerSecond: 100 * MB });
}

function parts(count: number, bytes: number, behindOf: (i: number) => number): PendingPart[] {
  return Array.from({ length: count }, (_, i) => ({ bytes, behindBytes: behindOf(i) }));
}

t.test('nothing to do, nothing needed', (t) => {
  t.equal(need([], 1e9), 0);
  t.equal(
    need(
      parts(4, MB, () => 0),
      0,
    ),
    0,
    'no log grows',
  );
  t.end();
});

t.test('all parts of one age: the last of them tells', (t) => {
  // 16 parts of 10 MB take 1.6 s; at 64 MB/s half of EVERY takes 2 s.
  const share = need(
    parts(16, 10 * MB, () => EVERY / 2),
    64 * MB,
  );
  t.ok(Math.abs(share - 0.8) < 1e-9, `${share}`);
  t.end();
});

t.test('parts that come due one after the other need no haste', (t) => {
  const staggered = parts(16, 10 * MB, (i) => EVERY * (0.75 - (i * 0.5) / 16));
  const bunched = parts(16, 10 * MB, () => EVERY * 0.75);
  t.ok(need(staggered, 32 * MB) < need(bunched, 32 * MB) / 2);
  t.end();
});

t.test('it rises with the log behind, and is without bound once that is too much', (t) => {
  let before = 0;
  for (const behind of [0, 0.2, 0.5, 0.9, 0.99]) {
    const share = need(
      parts(4, 10 * MB, () => behind * EVERY),
      10 * MB,
    );
    t.ok(share > before, `${behind}: ${share}`);
    before = share;
  }
  t.equal(
    need(
      parts(1, MB, () => EVERY),
      1,
    ),
    Number.POSITIVE_INFINITY,
  );
  t.end();
});

t.test('simulated: at any rate the log behind stays within the bound of the docs', (t) => {
  const STORE = 2560 * MB;
  const SPEED = 400 * MB;
  for (const rate of [1, 10, 40, 64, 128, 400].map((mb) => mb * MB)) {
    const count = 16;
    const bytes = STORE / count;
    const at = Array<number>(count).fill(0);
    const step = 0.01;
    let log = 0;
    let left = 0;
    let current = -1;
    let worst = 0;
    for (let second = 0; second < 600; second += step) {
      log += rate * step;
      const order = at.map((_, i) => i).sort((a, b) => at[a] - at[b]);
      const oldest = at[order[0]];
      if (second > 120) worst = Math.max(worst, log - oldest);
      const pending = order.map((i) => ({ behindBytes: log - at[i], bytes }));
      const share = needOf({
        pending: pending.filter(({ behindBytes }) => behindBytes >= EVERY / 2),
        everyBytes: EVERY,
        logBytesPerSecond: rate,
        bytesPerSecond: SPEED,
      });
      if (current < 0 && log - oldest >= EVERY / 2 && share > 0) {
        current = order[0];
        left = bytes;
      }
      if (current < 0) continue;
      left -= SPEED * step * Math.min(1, Math.max(1 / 16, share));
      if (left > 0) continue;
      at[current] = log;
      current = -1;
    }
    const bound = Math.max(EVERY, (rate * STORE) / SPEED) * 1.1 + (rate * bytes) / SPEED;
    t.ok(worst <= bound, `${rate / MB} MB/s: ${worst / MB} MB of ${bound / MB}`);
  }
  t.end();
});

t.test('the rate of the log is that of the last seconds', (t) => {
  const rate = new LogRate();
  let seq = 1;
  for (let ms = 0; ms <= 20_000; ms += 250) {
    rate.note(seq, ms);
    seq += 250_000;
  }
  t.ok(Math.abs(rate.bytesPerSecond / (1e6 * SLOT_BYTES) - 1) < 0.01);
  for (let ms = 20_250; ms <= 40_000; ms += 250) rate.note(seq, ms);
  t.ok(rate.bytesPerSecond < 1e6, 'and forgets them');
  t.end();
});
