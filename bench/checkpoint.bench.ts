/**
 * What a checkpoint costs those who read and write meanwhile.
 *
 *   this thread                                    log thread       2 appliers     checkpoint thread
 *   writes, then reads, then … ─▶ intake ring ─▶ fdatasync ─▶ shards ──seqlock──▶ files, paced
 *
 * Stretches without a checkpoint and stretches that last as long as one take turns; each of the
 * latter is compared with its two neighbours, because the disk's own rate drifts by more than a
 * checkpoint costs, and the figure is the median of the rounds. A checkpoint counts from the order to
 * take one until all that it covers is removed. At the end the service itself starts on the files:
 * from the last checkpoint, taken under load, and the log behind it, it must come to the state of
 * every product that the events lead to.
 */
import { pino } from 'pino';
import { loadConfig } from '../src/config/load.ts';
import { Service } from '../src/service.ts';
import type { SharedProductStore } from '../src/store/shared-product-store.ts';
import { CatalogueStream } from './support/catalogue-stream.ts';
import { figure, median, type Report } from './support/report.ts';
import { type BenchSize, runBench } from './support/run-bench.ts';
import { withScratchFolder } from './support/scratch-folder.ts';
import { BenchPath } from './support/write-path.ts';

const SEED = 20_260_311;
const APPLIERS = 2;
const QUEUE_SIZE = 32_768;
const STORE_BYTES = 256 * 2 ** 20;
const RATIO_WANTED = 0.9;
/** Pino's number for it. */
const WARN = 40;

/** One turn writes `events` and then reads `reads`; a stretch without checkpoint has `turns`. */
const SIZES = {
  full: { products: 1_000_000, rounds: 5, turns: 24, events: 262_144, reads: 262_144 },
  smoke: { products: 20_000, rounds: 1, turns: 1, events: 40_000, reads: 20_000 },
} as const;

interface Rates {
  readonly eventsPerSecond: number;
  readonly readsPerSecond: number;
}

/** A checkpoint as it was logged. */
interface Taken {
  readonly replayFrom: number;
  readonly entries: number;
  readonly bytes: number;
  readonly durationMs: number;
}

interface Round {
  readonly without: Rates;
  readonly during: Rates;
  readonly checkpoint: Taken;
}

class Load {
  readonly stream: CatalogueStream;
  readonly #path: BenchPath;
  readonly #size: BenchSize;
  #readFrom = 0;

  constructor(path: BenchPath, size: BenchSize) {
    this.stream = new CatalogueStream(SEED, SIZES[size].products);
    this.#path = path;
    this.#size = size;
  }

  /** Brings every product in. */
  async fill(): Promise<void> {
    await this.#path.send(this.stream, SIZES[this.#size].products);
    await this.#path.applied();
  }

  /** Writes and reads in turns until `isOver(turns so far)`. */
  async run(isOver: (turns: number) => boolean): Promise<Rates> {
    const { events, reads } = SIZES[this.#size];
    let writingMs = 0;
    let readingMs = 0;
    let turns = 0;
    do {
      const startMs = performance.now();
      await this.#path.send(this.stream, events);
      const writtenMs = performance.now();
      this.#read(this.#path.store, reads);
      writingMs += writtenMs - startMs;
      readingMs += performance.now() - writtenMs;
      turns++;
    } while (!isOver(turns));
    return {
      eventsPerSecond: (turns * events * 1000) / writingMs,
      readsPerSecond: (turns * reads * 1000) / readingMs,
    };
  }

  #read(store: SharedProductStore, reads: number): void {
    const { shuffledIds } = this.stream;
    for (let i = 0; i < reads; i++) {
      const id = shuffledIds[this.#readFrom++ % shuffledIds.length];
      let result = store.read(id);
      // Its writer was preempted in the middle: rare, and over when it runs again.
      while (result === 'busy') result = store.read(id);
      if (result !== 'found') throw new Error(`${id} is ${result}`);
    }
  }
}

async function measure(folder: string, size: BenchSize): Promise<Round[]> {
  const { rounds: count, turns } = SIZES[size];
  const taken: Taken[] = [];
  const write = (line: string) => {
    const entry = JSON.parse(line);
    if (entry.entries !== undefined) taken.push(entry);
    else if (entry.level >= WARN) console.error(line);
  };
  const path = await BenchPath.start({
    folder,
    appliers: APPLIERS,
    queueSize: QUEUE_SIZE,
    storeBytes: STORE_BYTES,
    logger: pino({ level: 'info' }, { write }),
  });
  try {
    const load = new Load(path, size);
    await load.fill();
    const without = () => load.run((done) => done === turns);
    const during = async () => {
      let isDone = false;
      const ended = path.checkpoints.runRound(true).finally(() => {
        isDone = true;
      });
      const rates = await load.run(() => isDone);
      if (!(await ended)) throw new Error('a checkpoint failed');
      return rates;
    };
    // Warms up, and is not counted.
    await without();
    let before = await without();
    const rounds: Round[] = [];
    for (let round = 0; round < count; round++) {
      const rates = await during();
      const after = await without();
      rounds.push({ without: mean(before, after), during: rates, checkpoint: taken[round] });
      before = after;
    }
    await path.finish();
    load.stream.verify(path.store);
    await path.dispose();
    await verifyRestored(folder, load.stream, taken[count - 1]);
    return rounds;
  } finally {
    await path.dispose();
  }
}

function mean(one: Rates, other: Rates): Rates {
  return {
    eventsPerSecond: (one.eventsPerSecond + other.eventsPerSecond) / 2,
    readsPerSecond: (one.readsPerSecond + other.readsPerSecond) / 2,
  };
}

/** Throws unless a start from the files comes through `checkpoint` to the state of `stream`. */
async function verifyRestored(
  dataDir: string,
  stream: CatalogueStream,
  checkpoint: Taken,
): Promise<void> {
  let restored = '';
  const write = (line: string) => {
    const { products, replayFrom, events } = JSON.parse(line);
    if (events !== undefined) restored = `${products} products and ${events} from ${replayFrom}`;
  };
  const config = loadConfig({ PORT: '0', DATA_DIR: dataDir });
  const service = await Service.start({ config, logger: pino({ level: 'info' }, { write }) });
  try {
    await service.ready();
    const { entries, replayFrom } = checkpoint;
    const wanted = `${entries} products and ${stream.sent + 1 - replayFrom} from ${replayFrom}`;
    if (restored !== wanted) throw new Error(`restored ${restored}, expected ${wanted}`);
    stream.verify(service.path.store);
  } finally {
    await service.stop();
  }
}

async function bench(size: BenchSize): Promise<Report> {
  const { products, turns, events, reads } = SIZES[size];
  const rounds = await withScratchFolder((folder) => measure(folder, size));
  const ratios = (rate: keyof Rates) =>
    rounds.map((round) => round.during[rate] / round.without[rate]);
  const row = (name: string, rate: keyof Rates) => {
    const own = ratios(rate);
    return [
      name,
      figure(median(rounds.map((round) => round.without[rate]))),
      figure(median(rounds.map((round) => round.during[rate]))),
      `${median(own).toFixed(3)} (${Math.min(...own).toFixed(2)}–${Math.max(...own).toFixed(2)})`,
    ];
  };
  const aim = (what: string, rate: keyof Rates) =>
    ({
      what: `${what} during a checkpoint, of those without`,
      measured: median(ratios(rate)),
      wanted: RATIO_WANTED,
      better: 'higher',
      unit: '',
    }) as const;
  return {
    name: 'Checkpoint under load',
    conditions: [
      `${rounds.length} paced checkpoints of ${figure(products)} products, one after the other, with stretches of ${turns} turns without one between them; a turn is ${figure(events)} durable events, then ${figure(reads)} reads, of all products in random order, seed ${SEED}; medians, ratios are taken to the two neighbouring stretches`,
      `QUEUE_SIZE ${QUEUE_SIZE}, ${APPLIERS} appliers, fdatasync for each batch`,
    ],
    tables: [
      {
        title: 'Rates',
        columns: ['what', 'without', 'during a checkpoint', 'ratio (lowest–highest)'],
        rows: [row('durable events/s', 'eventsPerSecond'), row('reads/s', 'readsPerSecond')],
      },
      {
        title: 'Checkpoints',
        columns: ['checkpoint', 'seconds', 'bytes', 'bytes per product', 'events/s', 'reads/s'],
        rows: rounds.map(({ checkpoint, during }, i) => [
          String(i + 1),
          figure(checkpoint.durationMs / 1000),
          figure(checkpoint.bytes),
          figure(checkpoint.bytes / checkpoint.entries),
          figure(during.eventsPerSecond),
          figure(during.readsPerSecond),
        ]),
      },
    ],
    aims: [aim('durable events/s', 'eventsPerSecond'), aim('reads/s', 'readsPerSecond')],
    notes: [
      'The service was started on the files afterwards: from the last checkpoint and the log behind it, it came to the right state of every product.',
    ],
  };
}

await runBench(bench);
