/**
 * One history of a cluster of three on a simulated stream, and the model that it is checked against. Tests only.
 * (Over 300 lines: all dice of a history are thrown here, in one order.)
 *
 * The model is the stream: which events the clients were told of, with which seq, is kept aside (`told`), and
 * at the end a fresh instance reads the whole stream once, without any trouble. All others must be like it.
 */
import assert from 'node:assert/strict';
import { CommitPublisher } from '../../../src/log/commit-publisher.ts';
import { readLog } from '../../../src/log/segment-reader.ts';
import { localEnd } from '../../../src/replication/local-end.ts';
import { ReplicaFile } from '../../../src/replication/replica-file.ts';
import { ReplicatedLog } from '../../../src/replication/replicated-log.ts';
import { resumeReplica } from '../../../src/replication/take-over.ts';
import type { CommitRing } from '../../../src/ring/commit-ring.ts';
import {
  INTAKE_HEAD,
  INTAKE_STOP,
  INTAKE_TAIL,
  type IntakeRing,
  producersOf,
  publishHead,
} from '../../../src/ring/intake-ring.ts';
import { LogProgress, type Progress } from '../../../src/ring/progress.ts';
import {
  FLAG_CONFLICT,
  FLAG_DUPLICATE,
  SLOT_BYTES,
  SLOT_DOUBLES,
  SLOT_META,
  SLOT_SEQ,
  SLOT_WORDS,
} from '../../../src/ring/slot.ts';
import { SimulatedDisk } from '../../durability/simulated-disk.ts';
import { HASH_KEY, LogMemory } from '../../log/contract/log-contract.ts';
import { putEvent } from '../models/plain-event.ts';
import type { Random } from '../models/random.ts';
import { beginCluster, CLUSTER, type SimulatedPort, SimulatedStream } from './simulated-stream.ts';

const INSTANCES = 3;
const STEPS = 150;
const PRODUCERS_MAX = 3;
/** Small, so that keys are forgotten within a history. */
const DEDUPE_EVENTS = 20;
const SEGMENT_BYTES_MAX = 4096;
const ROOT = '/data';
const FOLDER = '/data/log';
/** A history that is right needs some tens at the most. */
const CALM_STEPS_MAX = 2_000;

/** Of which thread that takes events in, and which of its two. */
type RingName = `${number} ${'live' | 'bulk'}`;

/** What a client was told of its event. */
interface Told {
  readonly price: number;
  readonly key: string | undefined;
  readonly seq: number;
  readonly ring: RingName;
  readonly type: 'kept' | 'repeated' | 'conflict';
}

export class ClusterHistory {
  readonly stream: SimulatedStream;
  readonly #random: Random;
  readonly #instances: Instance[];
  readonly #reader: Instance;
  #nowMs = 1_700_000_000_000;
  #prices = 0;

  constructor(random: Random) {
    const rate = () => (random.chance(0.5) ? 0 : random.below(30) / 100);
    const faults = { lost: rate(), twice: rate(), late: rate(), slow: rate() };
    this.#random = random;
    this.stream = new SimulatedStream(random, faults);
    beginCluster(this.stream);
    this.#instances = Array.from({ length: INSTANCES }, () => this.#make());
    this.#reader = this.#make(true);
  }

  get settled(): number {
    return this.#instances.reduce((sum, { told }) => sum + told.length, 0);
  }

  get voids(): number {
    return this.#instances.reduce((sum, { voids }) => sum + voids, 0);
  }

  get deaths(): number {
    return this.#instances.reduce((sum, { deaths }) => sum + deaths, 0);
  }

  run(): void {
    const random = this.#random;
    for (let i = 0; i < STEPS; i++) {
      this.#nowMs += random.below(300);
      const dice = random.below(100);
      const isReader = random.chance(0.1) && dice >= 35;
      const instance = isReader ? this.#reader : random.pick(this.#instances);
      if (dice < 35) this.#push(instance);
      else if (dice < 85) instance.step(random);
      else if (dice < 88) this.stream.arrive();
      else if (dice < 91) this.stream.changeLeader();
      else if (dice < 94) instance.die();
      else if (dice < 97) {
        instance.restart(random);
        if (random.chance(0.3)) instance.stop();
      } else if (dice < 98) instance.stop();
      else instance.finds(random.pick(['up', 'down', 'refusing']));
    }
    this.#calm();
  }

  /** Throws what is wrong. */
  check(): void {
    const fresh = this.#make();
    this.#settle([fresh]);
    const truth = fresh.events();
    for (const instance of [...this.#instances, this.#reader]) {
      assert.deepEqual(instance.events(), truth, 'I3, I8: equal logs');
      assert.equal(instance.log.state.chain, fresh.log.state.chain, 'I9: equal chains');
    }
    const bySeq = new Map(truth.map((event) => [event.seq, event]));
    const keptPrices = truth.map(({ price }) => price);
    assert.deepEqual(
      truth.map(({ seq }) => seq),
      truth.map((_, i) => i + 1),
      'numbers without a gap',
    );
    for (let i = 1; i < truth.length; i++) {
      assert.ok(truth[i].timeMs >= truth[i - 1].timeMs, 'I7: time does not go back');
    }
    const answered = this.#instances.flatMap(({ told }) => told);
    for (const { type, seq, price, key } of answered) {
      if (type === 'conflict') continue;
      const event = bySeq.get(seq);
      assert.ok(event !== undefined, `I1: seq ${seq} was answered and is not there`);
      if (type === 'kept') assert.equal(event.price, price, `I1: seq ${seq} is that event`);
      else assert.equal(event.key, key, `seq ${seq} is the first under that key`);
    }
    // A price is pushed by one client once; whatever was sent twice must count once.
    assert.equal(new Set(keptPrices).size, keptPrices.length, 'I2: no event twice');
    for (const { told } of this.#instances) {
      for (const ring of new Set(told.map((one) => one.ring))) {
        const kept = told.filter((one) => one.type === 'kept' && one.ring === ring);
        const own = kept.map(({ seq }) => seq);
        assert.deepEqual(
          own,
          own.toSorted((a, b) => a - b),
          'I6: in the order of the ring',
        );
      }
    }
  }

  #push(instance: Instance): void {
    const random = this.#random;
    const key = random.chance(0.4) ? `k${random.below(40)}` : undefined;
    for (let n = random.integer(1, 3); n > 0; n--) instance.push(random, ++this.#prices, key);
  }

  /** No more trouble: until everybody has everything. */
  #calm(): void {
    this.stream.faults = { lost: 0, twice: 0, late: 0, slow: 0 };
    this.stream.arrive();
    const all = [...this.#instances, this.#reader];
    for (const instance of all) instance.finds('up');
    this.#settle(all);
    assert.equal(this.#reader.sent, 0, 'a reader sends nothing');
  }

  #settle(instances: readonly Instance[]): void {
    for (let i = 0; i < CALM_STEPS_MAX; i++) {
      this.#nowMs += 50;
      for (const instance of instances) instance.step();
      const end = this.stream.stored.length;
      if (instances.every((one) => one.isDone && one.log.state.position === end)) return;
    }
    throw new Error('it does not come to rest');
  }

  #make(isReader = false): Instance {
    const skewMs = this.#random.below(5000);
    // As many threads take events in, in each of its lives.
    const producers = this.#random.integer(1, PRODUCERS_MAX);
    return new Instance(this.stream, () => this.#nowMs, { skewMs, isReader, producers });
  }
}

interface Kept {
  readonly seq: number;
  readonly price: number;
  readonly key: string | undefined;
  readonly timeMs: number;
}

/** What an instance is like in all of its lives. */
interface Traits {
  readonly skewMs: number;
  readonly isReader: boolean;
  readonly producers: number;
}

/** What was pushed into a ring in this life of the process, and how much of it was answered. */
interface OwnRing {
  readonly name: RingName;
  readonly ring: IntakeRing;
  readonly pushed: Pushed[];
  seen: number;
}

function ringsOf({ intakes }: LogMemory): OwnRing[] {
  const of = (name: RingName, ring: IntakeRing) => ({ name, ring, pushed: [], seen: 0 });
  return producersOf(intakes).flatMap(({ live, bulk }, p) => [
    of(`${p} live`, live),
    of(`${p} bulk`, bulk),
  ]);
}

/** One instance: its memory, its folder, and what its clients were told. */
class Instance {
  readonly told: Told[] = [];
  voids = 0;
  deaths = 0;
  log: ReplicatedLog;
  readonly #stream: SimulatedStream;
  readonly #nowMs: () => number;
  readonly #traits: Traits;
  readonly #files = new SimulatedDisk();
  readonly #mortality: Mortality = { random: undefined, isDying: false, onDying: () => undefined };
  #rings: OwnRing[];
  #memory: LogMemory;
  #port: SimulatedPort;

  constructor(stream: SimulatedStream, nowMs: () => number, traits: Traits) {
    this.#traits = traits;
    this.#stream = stream;
    this.#nowMs = nowMs;
    this.#files.makeFolder(FOLDER);
    this.#files.syncFolder('/');
    this.#files.syncFolder(ROOT);
    this.#memory = new MortalMemory(this.#mortality, traits.producers);
    this.#rings = ringsOf(this.#memory);
    this.#port = stream.port();
    this.log = this.#open(false);
  }

  /** Messages towards the stream, in this life of its thread. */
  get sent(): number {
    return this.#port.sent;
  }

  get isDone(): boolean {
    return this.#rings.every(({ seen, pushed }) => seen === pushed.length);
  }

  push(random: Random, price: number, key: string | undefined): void {
    const { live, bulk } = random.pick(producersOf(this.#memory.intakes));
    const ring = random.chance(0.7) ? live : bulk;
    const { cursors, slots, mask } = ring;
    const head = cursors[INTAKE_HEAD];
    if (head - cursors[INTAKE_TAIL] > mask) return;
    const event = {
      seq: 0,
      productId: `p${price % 7}`,
      price,
      stock: 1,
      occurredAtMs: 0,
      isArrival: true,
    };
    putEvent(slots, head & mask, { ...event, ...(key === undefined ? {} : { key }) }, HASH_KEY);
    this.#rings.find((one) => one.ring === ring)?.pushed.push({ price, key });
    publishHead(ring, head + 1, this.#memory.intakes.live);
  }

  /** `random`: its log's thread may die on the way, at any step of a frame. */
  step(random?: Random): void {
    this.#mortality.random = random;
    this.#mortality.isDying = false;
    // Whatever takes the death for a failing disk is not to wait for a better one.
    this.#mortality.onDying = () => {
      this.#memory.intakes.live.cursors[INTAKE_STOP] = 1;
    };
    try {
      this.log.step();
    } catch (error) {
      if (!(error instanceof Died)) throw error;
    }
    this.#mortality.random = undefined;
    if (this.#mortality.isDying) {
      this.#mortality.isDying = false;
      this.#memory.intakes.live.cursors[INTAKE_STOP] = 0;
      this.die();
    }
    this.#answer();
  }

  /** The log's thread dies; its successor finds the memory as it is. */
  die(): void {
    this.deaths++;
    this.#port = this.#stream.port();
    this.log = this.#open(true);
    this.#answer();
  }

  /**
   * The process is killed, or its machine loses power, and it starts again: what it had in memory is gone,
   * and nobody was told of it.
   */
  restart(random: Random): void {
    this.deaths++;
    if (random.chance(0.5)) this.#files.powerLoss(random);
    else this.#files.processEnds();
    this.#startAnew();
  }

  #startAnew(): void {
    this.#memory = new MortalMemory(this.#mortality, this.#traits.producers);
    this.#rings = ringsOf(this.#memory);
    this.#port = this.#stream.port();
    this.log = this.#open(false);
  }

  /** It is stopped in order and starts again, wherever its start has come to; not while it has to wait for answers. */
  stop(): void {
    if (!this.isDone) return;
    this.#memory.intakes.live.cursors[INTAKE_STOP] = 1;
    assert.ok(this.log.run(), 'it stops in order');
    this.#files.processEnds();
    this.#startAnew();
  }

  /** How it finds the stream from now on: cut off from it, say, or full. */
  finds(type: 'up' | 'down' | 'refusing'): void {
    this.#port.state = type === 'up' ? { type } : { type, reason: type };
  }

  events(): Kept[] {
    const events: Kept[] = [];
    readLog(this.#files, FOLDER, 1, (slots, first, frame) => {
      for (let i = first; i < first + frame.count; i++) {
        const d = i * SLOT_DOUBLES;
        events.push({
          seq: slots.doubles[d + SLOT_SEQ],
          price: slots.doubles[d + 2],
          key: Buffer.from(slots.bytes.subarray(i * SLOT_BYTES + 48, i * SLOT_BYTES + 60)).toString(
            'hex',
          ),
          timeMs: slots.doubles[d + 1],
        });
      }
    });
    return events;
  }

  #answer(): void {
    for (const one of this.#rings) {
      const { cursors, slots, mask } = one.ring;
      const tail = Atomics.load(cursors, INTAKE_TAIL);
      for (; one.seen < tail; one.seen++) {
        const index = one.seen & mask;
        const meta = slots.words[index * SLOT_WORDS + SLOT_META];
        const seq = slots.doubles[index * SLOT_DOUBLES + SLOT_SEQ];
        const pushed = one.pushed[one.seen];
        assert.ok(pushed !== undefined, 'I2: more was settled than was pushed');
        const { price } = pushed;
        const key = Buffer.from(
          slots.bytes.slice(index * SLOT_BYTES + 48, index * SLOT_BYTES + 60),
        ).toString('hex');
        const type =
          (meta & FLAG_CONFLICT) !== 0
            ? 'conflict'
            : (meta & FLAG_DUPLICATE) !== 0
              ? 'repeated'
              : 'kept';
        this.told.push({ price, key, seq, ring: one.name, type });
      }
    }
  }

  #open(hasDied: boolean): ReplicatedLog {
    const files = this.#files;
    const memory = this.#memory;
    const { intakes, shares, dedupe, receipts, progress } = memory;
    const commits = memory.publisher();
    const replica = new ReplicaFile(files, ROOT);
    const died = hasDied ? progress.load() : undefined;
    const tail = died
      ? resumeReplica(memory, memory.ring, commits, died)
      : {
          ...readLog(files, FOLDER, 1, (slots, first, frame) => {
            for (let i = first; i < first + frame.count; i++) {
              const k = i * SLOT_WORDS + 12;
              const isKeyed = (slots.words[k] | slots.words[k + 1] | slots.words[k + 2]) !== 0;
              if (isKeyed) dedupe.add(slots.words, k, slots.doubles[i * SLOT_DOUBLES]);
            }
          }),
          fresh: false,
        };
    const end = localEnd(files, FOLDER, replica.load(tail.nextSeq), tail.nextSeq);
    return new ReplicatedLog(
      {
        intakes,
        shares,
        dedupe,
        dedupeEvents: DEDUPE_EVENTS,
        receipts,
        commits,
        progress,
        hashKey: HASH_KEY,
        port: this.#port,
        isReader: this.#traits.isReader,
        files,
        folder: FOLDER,
        segmentBytesMax: SEGMENT_BYTES_MAX,
        replica,
        cluster: CLUSTER,
        nowMs: () => this.#nowMs() + this.#traits.skewMs,
        monotonicMs: this.#nowMs,
        onStorage: () => undefined,
        onVoid: () => {
          this.voids++;
        },
      },
      tail,
      end,
      died,
    );
  }
}

class Died extends Error {}

interface Mortality {
  /** Who throws the dice; nobody dies without. */
  random: Random | undefined;
  isDying: boolean;
  onDying: () => void;
}

function mayDie(mortality: Mortality | undefined): void {
  if (mortality === undefined) return;
  if (mortality.random?.chance(0.02) === true) mortality.isDying = true;
  // Whoever catches it does not live on.
  if (!mortality.isDying) return;
  mortality.onDying();
  throw new Died();
}

/** The memory of an instance whose log thread may die before and after each step that others see. */
class MortalMemory extends LogMemory {
  declare readonly progress: MortalProgress;
  readonly #mortality: Mortality;

  constructor(mortality: Mortality, producers: number) {
    super(producers);
    this.#mortality = mortality;
    this.progress.mortality = mortality;
  }

  protected override createProgress(buffer: SharedArrayBuffer): LogProgress {
    return new MortalProgress(buffer);
  }

  override publisher(): CommitPublisher {
    return new MortalPublisher(this.ring, this.#mortality);
  }
}

class MortalProgress extends LogProgress {
  mortality: Mortality | undefined;

  override store(progress: Progress): void {
    mayDie(this.mortality);
    super.store(progress);
    mayDie(this.mortality);
  }
}

class MortalPublisher extends CommitPublisher {
  readonly #mortality: Mortality;

  constructor(ring: CommitRing, mortality: Mortality) {
    super(ring);
    this.#mortality = mortality;
  }

  override write(...args: Parameters<CommitPublisher['write']>): void {
    mayDie(this.#mortality);
    super.write(...args);
  }

  override publish(): void {
    mayDie(this.#mortality);
    super.publish();
  }
}

interface Pushed {
  readonly price: number;
  readonly key: string | undefined;
}
