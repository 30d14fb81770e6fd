/**
 * What the log thread and the stream's thread share: a ring of messages each way, what the log thread wants,
 * and how the stream is.
 *
 *   control, byte   0  bell      i32  rung by the log thread: messages to send, or another wish
 *                  64  epoch     i32  counts the wishes; the log thread writes, after the two below
 *                  72  position  f64  messages are wanted from behind it on
 *                  80  crc       u32  of the header of the message there; 0 = any
 *                 128  health    i32  0 down · 1 up · 2 forked · 3 overtaken · 4 refusing; the stream's thread writes, after the text
 *                 132  length    i32  of the text
 *                 136  text      248 B UTF-8: why it is not up
 *                 384  newest    i64  last position of the stream that is known; the stream's thread writes
 *
 * And what the log thread notes for its successor (proposed-shares.ts).
 *
 * Records of another epoch than the last answer a wish that is no more: the log thread drops them.
 */
import { INTAKE_DOORBELL, type IntakeRing } from '../ring/intake-ring.ts';
import { ByteRing } from './byte-ring.ts';
import { ProposedShares } from './proposed-shares.ts';
import type { Delivered, StreamHealth, StreamPort } from './stream-port.ts';

const BELL = 0;
const EPOCH = 16;
const POSITION_AT = 9;
const CRC_AT = 20;
const HEALTH = 32;
const LENGTH = 33;
const TEXT_BYTE = 136;
const TEXT_BYTES = 248;
/** In 64-bit words. */
const NEWEST = 48;
const CONTROL_BYTES = 448;

/** Messages to the stream: more than the window holds, so that there is always room. */
const OUT_BYTES = 8 << 20;
/** Messages from it: some of the longest. */
const IN_BYTES = 16 << 20;

const HEALTHS = ['down', 'up', 'forked', 'overtaken', 'refusing'] as const;

/** Survives structured cloning. */
export interface StreamMemory {
  readonly control: SharedArrayBuffer;
  readonly out: SharedArrayBuffer;
  readonly in: SharedArrayBuffer;
  /** proposed-shares.ts; the log thread's alone. */
  readonly shares: SharedArrayBuffer;
}

/** `producers`: threads that take events in. */
export function createStreamMemory(producers: number): StreamMemory {
  const control = new SharedArrayBuffer(CONTROL_BYTES);
  const out = ByteRing.create(OUT_BYTES);
  const shares = ProposedShares.create(2 * producers);
  return { control, out, in: ByteRing.create(IN_BYTES), shares };
}

/** What the log thread wants. */
export interface Wish {
  readonly epoch: number;
  readonly position: number;
  readonly crc: number;
}

class Control {
  readonly words: Int32Array;
  readonly doubles: Float64Array;
  readonly text: Uint8Array;
  readonly longs: BigInt64Array;

  constructor(buffer: SharedArrayBuffer) {
    this.words = new Int32Array(buffer);
    this.doubles = new Float64Array(buffer);
    this.text = new Uint8Array(buffer, TEXT_BYTE, TEXT_BYTES);
    this.longs = new BigInt64Array(buffer);
  }

  health(): StreamHealth {
    const type = HEALTHS[Atomics.load(this.words, HEALTH)] ?? 'down';
    if (type === 'up') return { type };
    const length = Atomics.load(this.words, LENGTH);
    const reason = new TextDecoder().decode(this.text.slice(0, length));
    return { type, reason: reason || 'the stream was not reached yet' };
  }
}

/** The log thread's end. */
export class SharedPort implements StreamPort {
  readonly #control: Control;
  readonly #out: ByteRing;
  readonly #in: ByteRing;
  #epoch = 0;

  constructor(memory: StreamMemory) {
    this.#control = new Control(memory.control);
    this.#out = new ByteRing(memory.out);
    this.#in = new ByteRing(memory.in);
    this.#epoch = Atomics.load(this.#control.words, EPOCH);
  }

  publish(message: Uint8Array): boolean {
    const hasRoom = this.#out.write(message, 0, 0);
    this.#ring();
    return hasRoom;
  }

  take(): Delivered | undefined {
    for (;;) {
      const record = this.#in.read();
      if (record === undefined || record.epoch === this.#epoch) return record;
    }
  }

  follow(position: number, crc: number): void {
    const { words, doubles } = this.#control;
    doubles[POSITION_AT] = position;
    words[CRC_AT] = crc | 0;
    this.#epoch++;
    // Pairs with the load of the epoch in `wish`, before it reads the two.
    Atomics.store(words, EPOCH, this.#epoch);
    this.#ring();
  }

  health(): StreamHealth {
    return this.#control.health();
  }

  get newest(): number {
    return Number(Atomics.load(this.#control.longs, NEWEST));
  }

  #ring(): void {
    Atomics.add(this.#control.words, BELL, 1);
    Atomics.notify(this.#control.words, BELL);
  }
}

/** The end of the stream's thread. */
export class StreamEnd {
  /** Watch it at `bell`. */
  readonly words: Int32Array;
  readonly bell = BELL;
  readonly #control: Control;
  readonly #out: ByteRing;
  readonly #in: ByteRing;
  readonly #intake: IntakeRing;

  constructor(memory: StreamMemory, intake: IntakeRing) {
    this.#control = new Control(memory.control);
    this.words = this.#control.words;
    this.#out = new ByteRing(memory.out);
    this.#in = new ByteRing(memory.in);
    this.#intake = intake;
  }

  get wish(): Wish {
    const { words, doubles } = this.#control;
    const epoch = Atomics.load(words, EPOCH);
    return { epoch, position: doubles[POSITION_AT], crc: words[CRC_AT] >>> 0 };
  }

  /** Whether the log thread wants something since `epoch`, or has something to send. */
  hasNews(epoch: number): boolean {
    return this.wish.epoch !== epoch || !this.#out.isEmpty;
  }

  /** The next message to send: a copy. */
  toSend(): Uint8Array | undefined {
    return this.#out.read()?.bytes.slice();
  }

  /** Hands a message on; false where there is no room yet. `wakeLog` comes after some. */
  deliver(bytes: Uint8Array, position: number, epoch: number): boolean {
    return this.#in.write(bytes, position, epoch);
  }

  wakeLog(): void {
    Atomics.add(this.#intake.cursors, INTAKE_DOORBELL, 1);
    Atomics.notify(this.#intake.cursors, INTAKE_DOORBELL);
  }

  set newest(position: number) {
    Atomics.store(this.#control.longs, NEWEST, BigInt(position));
  }

  set health(health: StreamHealth) {
    const { words, text } = this.#control;
    const reason = health.type === 'up' ? '' : health.reason;
    const bytes = Buffer.from(reason).subarray(0, TEXT_BYTES);
    text.set(bytes);
    Atomics.store(words, LENGTH, bytes.length);
    Atomics.store(words, HEALTH, HEALTHS.indexOf(health.type));
    this.wakeLog();
  }
}
