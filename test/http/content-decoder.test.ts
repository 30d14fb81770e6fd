/** Compressed bodies of any number of frames, cut into chunks anywhere: all is decoded, or a fault. */
import { Buffer } from 'node:buffer';
import { PassThrough } from 'node:stream';
import fc from 'fast-check';
import t from 'tap';
import { BodyRefused } from '../../src/errors/body-refused.ts';
import { ContentDecoder } from '../../src/http/requests/content-decoder.ts';
import { FRAMES, framed, pieces, skippableFrame } from '../helpers/clients/frames.ts';
import { Random, testSeed } from '../helpers/models/random.ts';

interface Decoded {
  readonly bytes: Buffer;
  readonly wireBytes: number;
  /** Why the rest can't be decoded. */
  readonly fault: string | undefined;
}

/** Decodes a body that arrives in these chunks, each when the ones before are taken, or all at once. */
async function decode(coding: string, chunks: readonly Buffer[], isSlow = true): Promise<Decoded> {
  const body = new PassThrough();
  let wake = (): void => undefined;
  const decoder = new ContentDecoder(body, coding, () => wake());
  const sending = (async () => {
    for (const chunk of chunks) {
      if (!body.write(chunk)) await new Promise((resolve) => body.once('drain', resolve));
      if (isSlow) await new Promise(setImmediate);
    }
    body.end();
  })();
  const decoded: Buffer[] = [];
  let fault: string | undefined;
  try {
    while (!decoder.isEnded) {
      const moved = new Promise<void>((resolve) => {
        wake = resolve;
      });
      const chunk = decoder.read();
      if (chunk !== null) decoded.push(chunk);
      else if (!decoder.isEnded) await moved;
    }
  } catch (error) {
    if (!(error instanceof BodyRefused) || error.code !== 'invalid-encoding') throw error;
    fault = error.message;
  }
  const { wireBytes } = decoder;
  decoder.destroy();
  body.resume();
  await sending;
  return { bytes: Buffer.concat(decoded), wireBytes, fault };
}

/** Bytes that compress like events, and around the sizes of zlib's and the streams' buffers. */
function content(random: Random): Buffer {
  const near = random.pick([0, 100, 16_384, 32_768, 65_536, 131_072, 300_000]);
  const length = Math.max(0, near + random.integer(-3, 3));
  const kinds = random.integer(1, 1000);
  let text = '';
  while (text.length < length) text += `{"product_id":"p${random.below(kinds)}","price":1}\n`;
  return Buffer.from(text.slice(0, length));
}

const seed = testSeed();
/** Runs a property over seeds of everything else that it picks. */
const holds = (numRuns: number, property: (random: Random) => Promise<void>) =>
  fc.assert(
    fc.asyncProperty(fc.nat(), (own) => property(new Random(own))),
    { seed, numRuns, endOnFailure: true },
  );

for (const coding of Object.keys(FRAMES)) {
  t.test(`${coding}: any frames in any chunks are decoded whole (SEED=${seed})`, () =>
    holds(100, async (random) => {
      const whole = content(random);
      const frames = framed(coding, pieces(whole, random.integer(1, 8), random), random);
      const body = Buffer.concat(frames);
      const cutAtFrames = random.chance(0.2);
      const chunks = cutAtFrames ? frames : pieces(body, random.integer(1, 12), random);
      const { bytes, wireBytes, fault } = await decode(coding, chunks, random.chance(0.5));
      if (fault !== undefined) throw new Error(fault);
      if (!bytes.equals(whole)) throw new Error(`${bytes.length} bytes of ${whole.length}`);
      if (wireBytes !== body.length) throw new Error(`${wireBytes} bytes of ${body.length} taken`);
    }),
  );

  t.test(`${coding}: a cut is a fault unless it is between frames (SEED=${seed})`, () =>
    holds(100, async (random) => {
      const parts = pieces(content(random), random.integer(1, 4), random);
      const frames = parts.map((part) => framed(coding, [part], random));
      const body = Buffer.concat(frames.flat());
      const cut = random.integer(0, body.length);
      // Where each frame ends, metadata included, and how many parts are whole before the cut.
      const endOf = (frames: readonly Buffer[]) => Buffer.concat(frames).length;
      const ends = frames.flat().map((_, i) => endOf(frames.flat().slice(0, i + 1)));
      const whole = frames.filter((_, i) => endOf(frames.slice(0, i + 1).flat()) <= cut).length;
      const chunks = pieces(body.subarray(0, cut), random.integer(1, 6), random);
      const { bytes, fault } = await decode(coding, chunks);
      if ((fault === undefined) !== [0, ...ends].includes(cut)) throw new Error(`${cut}: ${fault}`);
      const all = Buffer.concat(parts);
      const least = Buffer.concat(parts.slice(0, whole)).length;
      if (!bytes.equals(all.subarray(0, bytes.length))) throw new Error('other bytes');
      if (bytes.length < least) throw new Error(`${bytes.length} bytes of ${least}`);
    }),
  );

  t.test(`${coding}: what is no frame behind one is a fault, in any chunks`, async (t) => {
    const random = new Random(seed);
    const frame = FRAMES[coding];
    const lines = Buffer.from('one\ntwo\n');
    let looked = 0;
    for (const junk of ['\0', '\0'.repeat(512), 'x', '\n', 'garbage', '\x1f\x8b', '(']) {
      for (const behind of [Buffer.alloc(0), frame(lines, random)]) {
        const body = Buffer.concat([frame(lines, random), Buffer.from(junk, 'latin1'), behind]);
        for (let cut = 0; cut <= body.length; cut++) {
          const { bytes, fault } = await decode(coding, [
            body.subarray(0, cut),
            body.subarray(cut),
          ]);
          if (fault === undefined) t.fail(`${JSON.stringify(junk)} in two at ${cut} is taken`);
          // What gunzip has in hand when it finds a fault is lost to us; the fault is reported.
          const isTaken = bytes.subarray(0, lines.length).equals(lines);
          if (coding !== 'gzip' && !isTaken) t.fail(`the frame before ${JSON.stringify(junk)}`);
          looked++;
        }
      }
    }
    t.ok(looked > 500, `${looked} bodies`);
  });
}

t.test('zstd frames without data: empty and metadata, first, last and alone', async (t) => {
  const random = new Random(seed);
  const frame = FRAMES.zstd as (typeof FRAMES)[string];
  const empty = frame(Buffer.alloc(0), random);
  const lines = Buffer.from('one\ntwo\n');
  for (const [frames, expected] of [
    [[], ''],
    [[empty], ''],
    [[skippableFrame(0)], ''],
    [[skippableFrame(100_000, 15)], ''],
    [[empty, frame(lines, random)], 'one\ntwo\n'],
    [[skippableFrame(9), empty, frame(lines, random), skippableFrame(70_000, 3)], 'one\ntwo\n'],
  ] as const) {
    const body = Buffer.concat(frames);
    for (const chunks of [[body], frames, pieces(body, 5, random)]) {
      const { bytes, fault } = await decode('zstd', chunks);
      t.equal(fault, undefined);
      t.equal(bytes.toString(), expected);
    }
    if (body.length === 0) continue;
    const { fault } = await decode('zstd', [body.subarray(0, -1)]);
    t.match(fault, /^The body ends in the middle of a frame of its zstd\.$/);
  }
});

t.test('what cannot be decoded is described', async (t) => {
  const random = new Random(seed);
  const lines = Buffer.from('one\ntwo\n');
  for (const [coding, unit] of [
    ['gzip', 'a member'],
    ['br', 'stream 2'],
    ['zstd', 'a frame'],
  ] as const) {
    const frame = FRAMES[coding];
    const two = Buffer.concat([frame(lines, random), frame(lines, random)]);
    const cut = await decode(coding, [two.subarray(0, -1)]);
    t.equal(cut.fault, `The body ends in the middle of ${unit} of its ${coding}.`);
  }
  const long = Buffer.concat([FRAMES.zstd?.(lines, random) as Buffer, hugeWindow()]);
  const { bytes, fault } = await decode('zstd', [long]);
  t.strictSame(bytes, lines);
  t.equal(fault, "The window of a frame of the body's zstd is larger than 8 MB.");
});

/** The head of a zstd frame that needs a window of 16 MB. */
function hugeWindow(): Buffer {
  return Buffer.from([0x28, 0xb5, 0x2f, 0xfd, 0x00, (24 - 10) << 3, 0x01, 0x00, 0x00]);
}
