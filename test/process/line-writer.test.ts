/** Lines to a descriptor that takes what it likes: kept, cut, dropped, told of, flushed. */
import t, { type Test } from 'tap';
import { KEPT_BYTES_MAX, LineWriter } from '../../src/process/line-writer.ts';
import { polled } from '../helpers/bounded.ts';
import { Random, testSeed } from '../helpers/models/random.ts';

const WAIT_MS_MAX = 60_000;

/** A descriptor that takes `room` bytes more and then says that it would have to wait. */
class Sink {
  room = 0;
  text = '';
  error = 'EAGAIN';
  /** Most bytes it takes at once. */
  atOnce = Number.POSITIVE_INFINITY;
  readonly write = (_fd: number, bytes: Uint8Array): number => {
    const taken = Math.min(this.room, bytes.length, this.atOnce);
    if (taken === 0) throw Object.assign(new Error(this.error), { code: this.error });
    this.room -= taken;
    this.text += Buffer.from(bytes.subarray(0, taken)).toString();
    return taken;
  };
}

function writerTo(sink: Sink): LineWriter {
  const gapNote = (lines: number) => `(${lines} missing)\n`;
  return new LineWriter({ stream: { fd: -1 }, gapNote, write: sink.write });
}

async function drained(t: Test, writer: LineWriter): Promise<void> {
  await polled(() => writer.keptBytes === 0 || undefined, WAIT_MS_MAX, 'all to be written');
  t.equal(writer.dropped, 0, 'every gap is told');
}

t.test('what is taken at once is not kept', (t) => {
  const sink = new Sink();
  sink.room = 100;
  const writer = writerTo(sink);
  t.equal(writer.line('a\n'), true);
  t.equal(sink.text, 'a\n');
  t.equal(writer.keptBytes, 0);
  t.end();
});

for (const error of ['EAGAIN', 'ENOSPC', 'EPIPE', 'EIO']) {
  t.test(`after ${error} lines come out whole and in order as soon as they can`, async (t) => {
    const sink = new Sink();
    Object.assign(sink, { error, room: 3 });
    const writer = writerTo(sink);
    t.equal(writer.line('first\n'), false, 'a part was taken');
    t.equal(writer.line('second\n'), false);
    sink.room = 2;
    writer.flush(0, 0);
    t.equal(sink.text, 'first', 'another part');
    sink.room = 1000;
    t.equal(writer.line('third\n'), false, 'behind what is kept');
    await drained(t, writer);
    t.equal(sink.text, 'first\nsecond\nthird\n');
    t.equal(writer.line('fourth\n'), true, 'and directly from then on');
  });
}

t.test(
  'beyond the bound lines are dropped, counted, and told of where they are missing',
  async (t) => {
    const sink = new Sink();
    const writer = writerTo(sink);
    const line = `${'z'.repeat(1023)}\n`;
    const fits = KEPT_BYTES_MAX / line.length;
    for (let n = 0; n < fits + 3; n++) writer.line(line);
    t.equal(writer.keptBytes, KEPT_BYTES_MAX);
    t.equal(writer.dropped, 3);
    writer.line('vital\n', true);
    t.equal(writer.dropped, 0, 'one that must not get lost is kept, behind the note');
    sink.room = 2 * line.length;
    writer.flush(0, 0);
    writer.line('later\n');
    sink.room = Number.POSITIVE_INFINITY;
    await drained(t, writer);
    t.equal(sink.text, `${line.repeat(fits)}(3 missing)\nvital\nlater\n`);
  },
);

t.test('a flush goes on as long as somebody reads, and no longer', (t) => {
  const sink = new Sink();
  const writer = writerTo(sink);
  for (let n = 0; n < 100; n++) writer.line(`${n}\n`);
  const startMs = performance.now();
  writer.flush(30, startMs + 60_000);
  t.ok(performance.now() - startMs < 30_000, 'nobody reads: it ends');
  t.equal(sink.text, '');

  // Somebody reads a little at each look.
  const slow = writerTo(sink);
  Object.defineProperty(sink, 'room', { get: () => 2, set: () => undefined });
  sink.text = '';
  for (let n = 0; n < 50; n++) slow.line(`${n}\n`);
  slow.flush(30_000, performance.now() + 60_000);
  t.equal(sink.text, Array.from({ length: 50 }, (_, n) => `${n}\n`).join(''));
  t.end();
});

const seed = testSeed();
t.test(`at random (seed ${seed})`, async (t) => {
  const random = new Random(seed);
  const sink = new Sink();
  const writer = writerTo(sink);
  const count = 5_000;
  for (let n = 0; n < count; n++) {
    sink.atOnce = 1 + random.below(2_000);
    sink.room = random.below(4) === 0 ? random.below(2_000) : 0;
    writer.line(`${n} ${'w'.repeat(random.below(1_000))}\n`);
    if (random.below(50) === 0) writer.flush(0, 0);
  }
  Object.assign(sink, { room: Number.POSITIVE_INFINITY, atOnce: Number.POSITIVE_INFINITY });
  await drained(t, writer);
  let next = 0;
  for (const line of sink.text.slice(0, -1).split('\n')) {
    const gap = /^\((\d+) missing\)$/.exec(line)?.[1];
    if (gap !== undefined) next += Number(gap);
    else if (!new RegExp(`^${next++} w*$`).test(line)) throw new Error(`${next - 1}: ${line}`);
  }
  t.equal(next, count, 'each line is there or in a gap that is told');
});
