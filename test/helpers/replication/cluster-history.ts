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
  publishHead,
} from '../../../src/ring/intake-ring.ts';
import { LogProgress, PROGRESS_BYTES, type Progress } from '../../../src/ring/progress.ts';
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
/** Small, so that keys are forgotten within a history. */
const DEDUPE_EVENTS = 20;
const SEGMENT_BYTES_MAX = 4096;
const ROOT = '/data';
const FOLDER = '/data/log';
const CALM_STEPS_MAX = 20_000;

/** What a client was told of its event. */
interface Told {
  readonly price: number;
  readonly key: string | undefined;
  readonly seq: number;
  readonly ring: 'live' | 'bulk';
  readonly type: 'kept' | 'repeated' | 'conflict';
}

export class ClusterHistory {
  readonly stream: SimulatedStream;
  readonly #random: Random;
  readonly #instances: Instance[];
  #nowMs = 1_700_000_000_000;
  #prices = 0;

  constructor(random: Random) {
    const rate = () => (random.chance(0.5) ? 0 : random.below(30) / 100);
    const faults = { lost: rate(), twice: rate(), late: rate(), slow: rate() };
    this.#random = random;
    this.stream = new SimulatedStream(random, faults);
    beginCluster(this.stream);
    this.#instances = Array.from({ length: INSTANCES }, () => this.#make());
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
      const instance = random.pick(this.#instances);
      const dice = random.below(100);
      if (dice < 35) this.#push(instance);
      else if (dice < 85) instance.step(random);
      else if (dice < 88) this.stream.arrive();
      else if (dice < 91) this.stream.changeLeader();
      else if (dice < 94) instance.die();
      else if (dice < 97) instance.restart(random);
      else instance.cut(random.chance(0.5));
    }
    this.#calm();
  }

  /** Throws what is wrong. */
  check(): void {
    const fresh = this.#make();
    this.#settle([fresh]);
    const truth = fresh.events();
    for (const instance of this.#instances) {
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
      for (const ring of ['live', 'bulk']) {
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
    for (let n = random.integer(1, 3); n > 0; n--)
      instance.push(++this.#prices, key, random.chance(0.7));
  }

  /** No more trouble: until everybody has everything. */
  #calm(): void {
    this.stream.faults = { lost: 0, twice: 0, late: 0, slow: 0 };
    this.stream.arrive();
    for (const instance of this.#instances) instance.cut(false);
    this.#settle(this.#instances);
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

  #make(): Instance {
    const skewMs = this.#random.below(5000);
    return new Instance(this.stream, () => this.#nowMs, skewMs);
  }
}

interface Kept {
  readonly seq: number;
  readonly price: number;
  readonly key: string | undefined;
  readonly timeMs: number;
}

/** One instance: its memory, its folder, and what its clients were told. */
class Instance {
  readonly told: Told[] = [];
  voids = 0;
  deaths = 0;
  log: ReplicatedLog;
  readonly #stream: SimulatedStream;
  readonly #nowMs: () => number;
  readonly #skewMs: number;
  readonly #files = new SimulatedDisk();
  readonly #mortality: Mortality = { random: undefined, isDying: false, onDying: () => undefined };
  /** What was pushed, by ring and cursor, in this life. */
  #pushed = { live: [] as Pushed[], bulk: [] as Pushed[] };
  #seen = { live: 0, bulk: 0 };
  #memory: LogMemory;
  #port: SimulatedPort;

  constructor(stream: SimulatedStream, nowMs: () => number, skewMs: number) {
    this.#stream = stream;
    this.#nowMs = nowMs;
    this.#skewMs = skewMs;
    this.#files.makeFolder(FOLDER);
    this.#files.syncFolder('/');
    this.#files.syncFolder(ROOT);
    this.#memory = new MortalMemory(this.#mortality);
    this.#port = stream.port();
    this.log = this.#open(false);
  }

  get isDone(): boolean {
    return (['live', 'bulk'] as const).every(
      (ring) => this.#seen[ring] === this.#pushed[ring].length,
    );
  }

  push(price: number, key: string | undefined, isLive: boolean): void {
    const ring = isLive ? 'live' : 'bulk';
    const { intakes } = this.#memory;
    const { cursors, slots, mask } = intakes[ring];
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
    this.#pushed[ring].push({ price, key });
    publishHead(intakes[ring], head + 1, intakes.live);
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
    this.#memory = new MortalMemory(this.#mortality);
    this.#pushed = { live: [], bulk: [] };
    this.#seen = { live: 0, bulk: 0 };
    this.#port = this.#stream.port();
    this.log = this.#open(false);
  }

  cut(isDown: boolean): void {
    this.#port.state = isDown ? { type: 'down', reason: 'cut' } : { type: 'up' };
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
    for (const ring of ['live', 'bulk'] as const) {
      const { cursors, slots, mask } = this.#memory.intakes[ring];
      const tail = Atomics.load(cursors, INTAKE_TAIL);
      for (; this.#seen[ring] < tail; this.#seen[ring]++) {
        const index = this.#seen[ring] & mask;
        const meta = slots.words[index * SLOT_WORDS + SLOT_META];
        const seq = slots.doubles[index * SLOT_DOUBLES + SLOT_SEQ];
        const pushed = this.#pushed[ring][this.#seen[ring]];
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
        this.told.push({ price, key, seq, ring, type });
      }
    }
  }

  #open(hasDied: boolean): ReplicatedLog {
    const files = this.#files;
    const memory = this.#memory;
    const { intakes, dedupe, receipts, progress } = memory;
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
        dedupe,
        dedupeEvents: DEDUPE_EVENTS,
        receipts,
        commits,
        progress,
        hashKey: HASH_KEY,
        port: this.#port,
        files,
        folder: FOLDER,
        segmentBytesMax: SEGMENT_BYTES_MAX,
        replica,
        cluster: CLUSTER,
        nowMs: () => this.#nowMs() + this.#skewMs,
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

function mayDie(mortality: Mortality): void {
  if (mortality.random?.chance(0.02) === true) mortality.isDying = true;
  // Whoever catches it does not live on.
  if (!mortality.isDying) return;
  mortality.onDying();
  throw new Died();
}

/** The memory of an instance whose log thread may die before and after each step that others see. */
class MortalMemory extends LogMemory {
  override readonly progress: LogProgress;
  readonly #mortality: Mortality;

  constructor(mortality: Mortality) {
    super();
    this.#mortality = mortality;
    this.progress = new MortalProgress(mortality);
  }

  override publisher(): CommitPublisher {
    return new MortalPublisher(this.ring, this.#mortality);
  }
}

class MortalProgress extends LogProgress {
  readonly #mortality: Mortality;

  constructor(mortality: Mortality) {
    super(new SharedArrayBuffer(PROGRESS_BYTES));
    this.#mortality = mortality;
  }

  override store(progress: Progress): void {
    mayDie(this.#mortality);
    super.store(progress);
    mayDie(this.#mortality);
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
