/**
 * A data folder made frame by frame through the service's own writers, with a book of what was
 * written where: tests damage it and know what must be found and what must be kept. Tests only.
 */
import { mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { OUTCOME_OF } from '../../../src/apply/applier.ts';
import { windowsName } from '../../../src/checkpoint/format.ts';
import { keyNameOf, partFileName } from '../../../src/checkpoint/part-format.ts';
import { writePart } from '../../../src/checkpoint/part-writer.ts';
import { copyOutcomes, type OutcomesSource } from '../../../src/checkpoint/windows.ts';
import { writeWindowsPart } from '../../../src/checkpoint/windows-writer.ts';
import { NodeFileSystem } from '../../../src/log/file-system.ts';
import { FRAME_HEADER_BYTES, type SegmentEnd, segmentName } from '../../../src/log/format.ts';
import { readIdentity } from '../../../src/log/log-identity.ts';
import { SegmentWriter } from '../../../src/log/segment-writer.ts';
import { RebuiltStore } from '../../../src/maintenance/rebuilt-store.ts';
import { OutcomeWindow } from '../../../src/outcome/outcome-window.ts';
import { SLOT_BYTES, SLOT_ID, SlotViews } from '../../../src/ring/slot.ts';
import { hashId } from '../../../src/store/id-hash.ts';
import { shardOf } from '../../../src/store/shard.ts';
import { planStore } from '../../../src/store/sizing.ts';
import { type PlainEvent, putEvent } from '../models/plain-event.ts';
import { ProductModel } from '../models/product-model.ts';
import type { Random } from '../models/random.ts';

const FRAME_EVENTS_MAX = 5;
const PRODUCTS_DEFAULT = 12;
const OUTCOME_EVENTS = 64;
/** More than an entry and its cells need, so that no shard is full. */
const STORE_BYTES_PER_PRODUCT = 512;
const SEGMENT_BYTES_MAX = 1 << 20;
export const BUILT_KEY = { k0: 1, k1: 2 };
const KEY = BUILT_KEY;
const SHARDS = 4;
/** The parts of all its checkpoints. */
export const BUILT_SET = { keyName: keyNameOf(KEY), shards: SHARDS };

export interface WrittenFrame {
  readonly path: string;
  readonly offsetBytes: number;
  readonly bytes: number;
  readonly firstSeq: number;
  readonly count: number;
}

export class BuiltData {
  readonly root: string;
  /** Whether some of the events are receipts of batches, which are none. */
  hasReceipts = false;
  readonly events: PlainEvent[] = [];
  readonly frames: WrittenFrame[] = [];
  /** Replay seqs. */
  readonly checkpoints: number[] = [];
  /** All events before it are in the newest checkpoint. */
  coveredBefore = 1;
  readonly #random: Random;
  readonly #products: number;
  readonly #files = new NodeFileSystem();
  #writer: SegmentWriter | undefined;
  #end: SegmentEnd | undefined;

  constructor(root: string, random: Random, products = PRODUCTS_DEFAULT) {
    this.root = root;
    this.#random = random;
    this.#products = products;
    mkdirSync(this.logFolder, { recursive: true });
    mkdirSync(this.checkpointFolder, { recursive: true });
  }

  get logFolder(): string {
    return join(this.root, 'log');
  }

  get checkpointFolder(): string {
    return join(this.root, 'checkpoint');
  }

  get nextSeq(): number {
    return this.events.length + 1;
  }

  /** Paths of the segments, oldest first. */
  get segments(): string[] {
    return [...new Set(this.frames.map(({ path }) => path))];
  }

  /** A new segment with that many frames of 1 to 5 events; created at its first seq, or when it is said. */
  segment(frames: number, createdAtMs = this.nextSeq): this {
    this.#writer?.abandon();
    const { nextSeq: first } = this;
    this.#writer = SegmentWriter.create(
      this.#files,
      this.logFolder,
      first,
      this.#end,
      SEGMENT_BYTES_MAX,
      createdAtMs,
    );
    for (let i = 0; i < frames; i++) this.#frame(1 + this.#random.below(FRAME_EVENTS_MAX));
    return this;
  }

  /** A checkpoint of all events, which says that replay starts `behind` events before the last. */
  checkpoint(behind = 0): this {
    const store = new RebuiltStore(
      planStore(Math.max(1 << 20, this.#products * STORE_BYTES_PER_PRODUCT), SHARDS),
      1,
      KEY,
    );
    for (const event of this.events) {
      const { slots, frame } = slotOf([event]);
      store.replay.frame(slots, 0, frame, 1);
    }
    store.replay.finish();
    const replayFrom = this.nextSeq - behind;
    const common = {
      files: this.#files,
      folder: this.checkpointFolder,
      replayFrom,
      nowMs: replayFrom,
      log: readIdentity(this.#files, this.logFolder, replayFrom),
      pause: () => undefined,
    };
    const outcomes = this.#outcomes();
    writeWindowsPart({
      ...common,
      windows: { dedupe: store.dedupe, receipts: store.receipts, outcomes },
    });
    for (let shard = 0; shard < store.shards.length; shard++) {
      writePart({
        ...common,
        key: KEY,
        shards: store.shards,
        shard,
        outcomes: () => copyOutcomes(outcomes, 1),
        flushBytes: () => Number.POSITIVE_INFINITY,
      });
    }
    // One that starts no later than one before it changes nothing.
    if (replayFrom > Math.max(0, ...this.checkpoints)) this.coveredBefore = this.nextSeq;
    this.checkpoints.push(replayFrom);
    return this;
  }

  /** Ends the log cleanly. */
  seal(): this {
    this.#writer?.seal(this.nextSeq, this.nextSeq);
    this.#note(0, this.#end?.endBytes ?? 0);
    this.#writer = undefined;
    return this;
  }

  /** Ends it as a crash does. */
  abandon(): this {
    this.#writer?.abandon();
    this.#writer = undefined;
    return this;
  }

  /** What the store must hold of the events that `isKept`. */
  model(isKept: (event: PlainEvent) => boolean = () => true): ProductModel {
    const model = new ProductModel();
    for (const event of this.events.filter(isKept)) model.apply(event, event.seq);
    return model;
  }

  /** What became of all events. */
  #outcomes(): OutcomesSource {
    const window = new OutcomeWindow(OutcomeWindow.create(OUTCOME_EVENTS));
    const model = new ProductModel();
    for (const event of this.events) {
      window.store(event.seq, OUTCOME_OF[model.apply(event, event.seq)]);
    }
    return { window, nextSeq: () => this.nextSeq, waitUntilApplied: () => undefined };
  }

  #frame(count: number): void {
    const events = Array.from({ length: count }, (_, i) => this.#event(this.nextSeq + i));
    const { memory } = slotOf(events);
    const at = this.#writer?.end.endBytes ?? 0;
    this.#writer?.append(memory, this.nextSeq, count, this.nextSeq);
    this.#note(count, at);
    this.events.push(...events);
    this.#end = this.#writer?.end;
  }

  #note(count: number, offsetBytes: number): void {
    const path = join(this.logFolder, segmentName(this.#writer?.firstSeq ?? 0));
    const bytes = FRAME_HEADER_BYTES + count * SLOT_BYTES;
    this.frames.push({ path, offsetBytes, bytes, firstSeq: this.nextSeq, count });
  }

  #event(seq: number): PlainEvent {
    const random = this.#random;
    if (this.hasReceipts && seq % 4 === 0) {
      const receipt = { key: `batch ${random.below(6)}`, events: seq };
      const nothing = { productId: '', price: undefined, stock: undefined };
      return { seq, ...nothing, occurredAtMs: seq * 10, receipt };
    }
    const hasPrice = random.chance(0.8);
    return {
      seq,
      productId: `product ${random.below(this.#products)}`,
      price: hasPrice ? seq / 4 : undefined,
      stock: random.chance(0.8) || !hasPrice ? seq : undefined,
      // Some come late, so that not every event changes something.
      occurredAtMs: random.chance(0.8) ? seq * 10 : random.below(seq * 10),
      ...(seq % 3 === 0 ? { key: `key ${seq}` } : {}),
    };
  }
}

/** The names of all there is of the checkpoint that starts the replay at this seq, windows first. */
export function namesOf(replayFrom: number): string[] {
  const parts = Array.from({ length: SHARDS }, (_, shard) =>
    partFileName({ ...BUILT_SET, shard, replayFrom }),
  );
  return [windowsName(replayFrom), ...parts];
}

/** In which of the built data's shards a product is. */
export function shardIn(productId: string, shards = SHARDS): number {
  const { slots } = slotOf([{ seq: 1, productId, price: 1, stock: 1, occurredAtMs: 1 }]);
  const idBytes = Buffer.byteLength(productId);
  return shardOf(hashId(KEY, slots.words, SLOT_ID, idBytes), shards);
}

/** The events in a frame's memory, the header still blank. */
function slotOf(events: readonly PlainEvent[]) {
  const count = events.length;
  const buffer = new ArrayBuffer(FRAME_HEADER_BYTES + count * SLOT_BYTES);
  const slots = new SlotViews(buffer, FRAME_HEADER_BYTES, count);
  for (const [i, event] of events.entries()) {
    putEvent(slots, i, event, KEY);
    // On disk the hash is 0.
    slots.words[i * (SLOT_BYTES / 4) + 11] = 0;
  }
  const firstSeq = events[0]?.seq ?? 0;
  const frame = {
    firstSeq,
    count,
    commitTimeMs: firstSeq,
    chain: 0,
    crc: 0,
    bytes: 0,
    position: 0,
  };
  return { memory: Buffer.from(buffer), slots, frame };
}
