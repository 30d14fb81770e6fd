/**
 * A random history, all of it decided by its seed: a disk, several lives of the service on it with
 * faults, deaths and power losses at random calls, and after each the comparison with what was
 * promised. At the end some damage, which the last recovery must see through. Tests only.
 * (Over 300 lines: all dice of a history are thrown here, in one order.)
 */
import assert from 'node:assert/strict';
import { readHashKey } from '../../src/checkpoint/part-files.ts';
import { isListed } from '../../src/store/product-repository.ts';
import type { PlainEvent } from '../helpers/models/plain-event.ts';
import { readProduct } from '../helpers/models/product-model.ts';
import { Random } from '../helpers/models/random.ts';
import { type Damage, damageDisk } from './damage.ts';
import { ExpectedLog } from './expected-log.ts';
import { Ended, type Fault, FaultyProcess } from './faulty-files.ts';
import { CHECKPOINT_FOLDER, keyOf, LOG_FOLDER, RecoveredState, SMALL } from './recovered-state.ts';
import { SimulatedDisk } from './simulated-disk.ts';
import { type RingName, SimulatedProcess } from './simulated-process.ts';

const LIVES_MAX = 5;
const STEPS_MAX = 20;
const DAMAGES = 3;
const PROMISING_CALLS = ['write', 'fdatasync', 'fdatasync', 'rename', 'fsync'] as const;
/** As many as are remembered. */
const BATCHES = 8;
const RINGS = ['live', 'bulk'] as const;
/** Products that come and go, of which some are there at a time. */
const COMING = 60;
const IDS = ['a', 'p2', 'sku-3', 'SKU-0004', 'ü5', 'long-'.repeat(12), 'x7', 'x8', 'x9'];

/** What happened in histories, to be sure that all of it does. */
export type Counts = Record<string, number>;

export class History {
  readonly random: Random;
  readonly disk = new SimulatedDisk();
  readonly expected = new ExpectedLog();
  readonly counts: Counts = {};
  #timeMs = 1000;
  #inCheckpoint = false;
  #receipts = 0;
  #came = 0;
  readonly #isTight: boolean;
  /** Few products, most of which are soon delisted, forgotten, and come again. */
  readonly #isChurning: boolean;
  /** A part that nobody could flush into the folder may be lost, and with it one place of outcomes. */
  #mayForgetOutcomes = false;
  /** Events with a key, answered or not; a client may repeat any of them. */
  readonly #keyed: PlainEvent[] = [];

  constructor(seed: number) {
    // Neighbouring seeds shall not begin alike.
    this.random = new Random(Math.imul(seed + 1, 0x9e3779b1));
    this.#isTight = this.random.chance(0.5);
    this.#isChurning = this.random.chance(0.4);
    for (const folder of ['/data', LOG_FOLDER, CHECKPOINT_FOLDER]) this.disk.makeFolder(folder);
    for (const folder of ['/', '/data']) this.disk.syncFolder(folder);
  }

  /** Throws when something that was promised does not hold. */
  run(): void {
    const lives = this.random.integer(1, LIVES_MAX);
    for (let i = 0; i < lives; i++) this.#live(i === lives - 1);
    assert.deepEqual(this.disk.reliedOnFailed, []);
    this.#recoverOnce();
    for (let i = 0; i < DAMAGES; i++) this.#damage();
  }

  #count(what: string): void {
    this.counts[what] = (this.counts[what] ?? 0) + 1;
  }

  /** One process from start to end. */
  #live(isLast: boolean): void {
    const { random, expected } = this;
    const process = new FaultyProcess(this.disk, random);
    process.faults = isLast && random.chance(0.5) ? [] : this.#faults();
    const endless = process.faults.find(({ calls }) => calls === Number.POSITIVE_INFINITY);
    const giveUpAt = (endless?.from ?? Number.POSITIVE_INFINITY) + random.integer(5, 60);
    const life: SimulatedProcess = new SimulatedProcess({
      process,
      expected,
      state: this.#freshState(),
      segmentBytesMax: random.pick([400, 1024, 4096, 16_384]),
      retention: random.pick([{ bytes: 0 }, { bytes: 3000 }, { ageMs: 0 }, { ageMs: 20 }]),
      nowMs: () => this.#timeMs++,
      meanwhile: (who) => {
        // Somebody stops a service whose disk never comes back.
        if (who === 'log' && process.operations > giveUpAt) life.tellToStop();
        else if (random.chance(0.05)) this.#meanwhile(life, who);
      },
    });
    this.#count('lives');
    try {
      if (!life.start()) this.#count('refused starts');
      else this.#serve(life);
    } catch (error) {
      if (!(error instanceof Ended)) throw error;
      this.#count('ended at a call');
    }
    process.ended = true;
    life.close();
    if (process.failedFolders.has(CHECKPOINT_FOLDER)) this.#mayForgetOutcomes = true;
    if (random.chance(0.6)) {
      this.#count('power losses');
      this.disk.powerLoss(random);
    } else {
      this.#count('kills');
      this.disk.processEnds();
    }
  }

  #faults(): Fault[] {
    const { random } = this;
    const faults: Fault[] = [];
    const within = random.pick([20, 60, 200, 300]);
    if (random.chance(0.7)) {
      const kind = random.pick<Fault['kind']>(['end-before', 'end-after']);
      faults.push({ ...this.#when(within), calls: 1, kind });
    }
    for (let n = random.below(3); n > 0; n--) {
      const calls = random.pick([1, 1, 2, 5, 20, Number.POSITIVE_INFINITY]);
      const kind = random.pick<Fault['kind']>(['EIO', 'EIO', 'ENOSPC']);
      faults.push({ ...this.#when(within), calls, kind });
    }
    if (random.chance(0.3)) faults.push({ from: 0, calls: random.below(200), kind: 'short' });
    return faults;
  }

  /** At any call, or at one of those that promises hang on. */
  #when(within: number): Pick<Fault, 'from' | 'on'> {
    const from = this.random.below(within);
    const on = this.random.pick([undefined, undefined, ...PROMISING_CALLS]);
    return on === undefined ? { from } : { from, on };
  }

  #serve(life: SimulatedProcess): void {
    const { random } = this;
    for (
      let steps = random.below(
        random.pick([3, STEPS_MAX, this.#isChurning ? 3 * STEPS_MAX : STEPS_MAX]),
      );
      steps > 0;
      steps--
    ) {
      if (random.chance(0.1)) {
        life.logThreadEndsIn = random.below(20);
        this.#count('deaths ordered');
      }
      switch (random.below(this.#isChurning ? 14 : 9)) {
        case 0:
        case 1:
          this.#push(life, random.integer(1, random.pick([2, 5, 16])));
          break;
        case 2:
          this.#push(life, random.integer(1, 3));
          if (!life.commit()) {
            this.#count('given up');
            return;
          }
          break;
        case 3:
          if (!life.commit()) {
            this.#count('given up');
            return;
          }
          break;
        case 4:
          life.state.apply(random.pick([1, 3, Number.POSITIVE_INFINITY]));
          break;
        case 5:
          if (!life.hasPending) life.idle();
          break;
        case 6:
          this.#checkpoint(life);
          break;
        case 7:
          this.#forget(life);
          break;
        default:
          if (!this.#cleanUp(life)) {
            this.#count('given up');
            return;
          }
          if (life.state.freed > 0) this.#count('sweeps that freed');
          life.state.freed = 0;
      }
    }
    if (random.chance(0.5)) return;
    if (!life.stop()) {
      this.#count('given up');
      return;
    }
    this.#count('clean stops');
    life.state.apply();
    if (random.chance(0.7)) this.#checkpoint(life);
  }

  #push(life: SimulatedProcess, events: number): void {
    const ring = this.random.pick(RINGS);
    for (let n = Math.min(events, life.room(ring)); n > 0; n--) {
      if (!life.push(this.#slot(ring), ring)) this.#count('refused for room');
    }
  }

  /** Says of products that are delisted, as far as the store knows now, that they are forgotten. */
  #forget(life: SimulatedProcess): void {
    const { random } = this;
    for (const productId of this.#ids) {
      if (life.room('bulk') === 0) return;
      const { store } = life.state;
      if (readProduct(store, productId) === 'missing' || isListed(store.state)) continue;
      const expectedSeq = random.chance(0.1) ? -1 : store.state.seq;
      const none = { price: undefined, stock: undefined, occurredAtMs: this.#timeMs };
      const note = { seq: 0, productId, ...none, isForget: true, isArrival: true, expectedSeq };
      life.push(note, 'bulk');
      this.#count('notes');
    }
  }

  /** Mostly with the checkpoints that the cleanup has taken; false if the log gave up. */
  #cleanUp(life: SimulatedProcess): boolean {
    const { random } = this;
    this.#forget(life);
    if (random.chance(0.4)) {
      for (let round = 0; round < 2; round++) {
        this.#push(life, random.integer(1, 3));
        if (!life.commit()) return false;
        if (random.chance(0.8)) life.state.apply();
        this.#checkpoint(life);
      }
    }
    return life.sweep();
  }

  get #ids(): readonly string[] {
    const from = Math.max(0, this.#came - (this.#isChurning ? 5 : COMING));
    return [
      ...(this.#isChurning ? IDS.slice(0, 3) : IDS),
      ...Array.from({ length: this.#came - from }, (_, i) => `came ${from + i}`),
    ];
  }

  /** An event, or where batches come, the receipt of one. */
  #slot(ring: RingName): PlainEvent {
    const { random } = this;
    if (ring === 'live' || random.chance(0.8)) return this.#event();
    this.#count('receipts');
    const receipt = { key: `batch ${random.below(BATCHES)}`, events: this.#receipts++ };
    const nothing = { productId: '', price: undefined, stock: undefined };
    return { seq: 0, ...nothing, occurredAtMs: this.#timeMs, receipt };
  }

  /** A new event, with a key or without; the repetition of one; or another one under its key. */
  #event(): PlainEvent {
    const { random } = this;
    const known = random.chance(0.3) ? random.pick(this.#keyed.slice(-12)) : undefined;
    if (known !== undefined && random.chance(0.8)) {
      this.#count('repetitions');
      return known;
    }
    const event = this.#freshEvent();
    // Two deletes of one product say the same.
    if (event.isDelete === true) return event;
    if (known !== undefined) {
      this.#count('conflicts');
      return { ...event, key: known.key as string };
    }
    if (random.chance(0.6)) return event;
    const keyed = { ...event, key: `key ${this.#keyed.length}` };
    this.#keyed.push(keyed);
    return keyed;
  }

  #freshEvent(): PlainEvent {
    const { random } = this;
    const fields = random.below(this.#isChurning ? 10 : 7);
    if (random.chance(this.#isChurning ? 0.1 : 0.3)) this.#came++;
    const isDelete = fields > 4;
    return {
      seq: 0,
      productId: random.pick(this.#ids),
      price: fields === 0 || isDelete ? undefined : random.below(10_000) / 100,
      stock: fields === 1 || isDelete ? undefined : random.below(1000),
      ...(isDelete ? { isDelete } : {}),
      occurredAtMs: this.#timeMs + random.integer(-20, 20),
      ...(random.chance(0.3) ? { isArrival: true } : {}),
    };
  }

  #checkpoint(life: SimulatedProcess): void {
    this.#inCheckpoint = true;
    try {
      life.checkpoint();
    } finally {
      this.#inCheckpoint = false;
    }
    this.#count('checkpoints');
  }

  /** Other threads work between two calls of a thread. */
  #meanwhile(life: SimulatedProcess, who: 'log' | 'checkpoint'): void {
    const { random } = this;
    if (life.isStopping) return;
    const ring = random.pick(RINGS);
    if (random.chance(0.5) && life.room(ring) > 0) life.push(this.#slot(ring), ring);
    else life.state.apply(random.integer(1, 5));
    if (who === 'checkpoint' && this.#inCheckpoint && life.commit()) life.state.apply(2);
    if (who === 'checkpoint' && this.#isChurning) {
      if (random.chance(0.5)) this.#forget(life);
      life.sweepIfIdle();
    }
  }

  /** Memory of a start: where it may be full, the same; else mostly the folder's key and as many shards. */
  #freshState(): RecoveredState {
    const { random } = this;
    if (this.#isTight) {
      return new RecoveredState(random.word() | 0, { ...SMALL, isTight: true }, keyOf(0));
    }
    const key = random.chance(0.8) ? readHashKey(this.disk, CHECKPOINT_FOLDER) : undefined;
    const shards = random.pick([2, 2, 2, 2, 2, 2, 3]);
    return new RecoveredState(random.word() | 0, { ...SMALL, shards }, key);
  }

  /** A start on a disk that does not fail. */
  #recoverOnce(): void {
    const state = this.#freshState();
    state.recover(this.disk.copy());
    this.expected.check(state);
  }

  #damage(): void {
    const { disk, expected, random } = this;
    const damage: Damage = damageDisk(disk.copy(), expected, random, this.#mayForgetOutcomes);
    this.#count(`damage: ${damage}`);
  }
}
