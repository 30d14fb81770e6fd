/**
 * A catalogue in which products come and go, through a store that is smaller than what comes in all:
 *
 *   this thread                                     log thread      2 appliers        checkpoint thread
 *   insert product k, delist product k − LISTED ─▶ intake ring ─▶ fdatasync ─▶ shards ◀──seqlock── copies
 *   cleanup: notes on those that were delisted ──▶ bulk ring ──────┘   └─ free places of what is forgotten
 *
 * The first products, up to the threshold, warm up. Then rounds of churn and rounds of as many events that update the
 * listed products take turns, within one run; the cost is the ratio of their rates, the median of the rounds.
 * Whatever finds no room waits for it, and the waiting counts. The retention is a second: a day of a shop in half a
 * minute. Memory is that of the process after each round of churn. At the end, and after a start from the
 * files, exactly the last LISTED products must be there.
 */
import { pino } from 'pino';
import { loadConfig } from '../src/config/load.ts';
import type { ProductEvent } from '../src/event/product-event.ts';
import { Service } from '../src/service.ts';
import { isListed } from '../src/store/product-repository.ts';
import { figure, median, type Report } from './support/report.ts';
import { type BenchSize, runBench } from './support/run-bench.ts';
import { withScratchFolder } from './support/scratch-folder.ts';

const SIZES = {
  full: {
    memory: '176MB',
    shards: '16',
    listed: 100_000,
    warmUp: 900_000,
    round: 200_000,
    rounds: 5,
  },
  smoke: { memory: '2MB', shards: '2', listed: 1_000, warmUp: 12_000, round: 6_000, rounds: 2 },
} as const;
/** Both kinds of rounds, the churn's of the other. */
const COST_WANTED = 0.5;
/** Memory after the last round of churn, of that after the second: by then every place was taken once. */
const GROWTH_WANTED = 1.1;
const NAME = 'product-';

interface Round {
  readonly churnPerSecond: number;
  readonly updatesPerSecond: number;
  readonly residentBytes: number;
}

function idOf(k: number): string {
  return `${NAME}${k}`;
}

class Catalogue {
  readonly #service: Service;
  readonly #listed: number;
  #came = 0;
  #updated = 0;

  constructor(service: Service, listed: number) {
    this.#service = service;
    this.#listed = listed;
  }

  /** Lets `products` come, and as many go; returns events in a second. */
  async churn(products: number): Promise<number> {
    const startMs = performance.now();
    let events = 0;
    for (const end = this.#came + products; this.#came < end; this.#came++) {
      const k = this.#came;
      await this.#send({ productId: idOf(k), price: k, stock: 1, occurredAtMs: undefined });
      events++;
      const gone = k - this.#listed;
      if (gone < 0) continue;
      const none = { price: undefined, stock: undefined, occurredAtMs: undefined };
      await this.#send({ productId: idOf(gone), ...none, isDelete: true });
      events++;
    }
    await this.#applied();
    return (events * 1000) / (performance.now() - startMs);
  }

  /** Updates the listed products in turn, to what they are; returns events in a second. */
  async update(events: number): Promise<number> {
    const startMs = performance.now();
    for (let i = 0; i < events; i++) {
      const k = this.#came - this.#listed + (this.#updated++ % this.#listed);
      await this.#send({ productId: idOf(k), price: k, stock: 1, occurredAtMs: undefined });
    }
    await this.#applied();
    return (events * 1000) / (performance.now() - startMs);
  }

  /** Throws unless exactly the last products are listed. */
  verify({ path }: Service): void {
    let listed = 0;
    for (const walk = path.store.walk(); ; ) {
      const step = walk.next();
      if (step === 'end') break;
      if (step !== 'found' || !isListed(walk.state)) continue;
      const k = Number(walk.id.slice(NAME.length));
      if (k < this.#came - this.#listed || walk.state.price !== k) throw new Error(`${walk.id}`);
      listed++;
    }
    if (listed !== this.#listed) throw new Error(`${listed} products are listed`);
  }

  async #send(event: ProductEvent): Promise<void> {
    const { intake } = this.#service.path;
    for (let answer = intake.offer(event, undefined); answer !== 'queued'; ) {
      if (answer !== 'queue-full' && answer !== 'undecided' && answer !== 'store-full') {
        throw new Error(answer);
      }
      await new Promise(setImmediate);
      answer = intake.offer(event, undefined);
    }
  }

  async #applied(): Promise<void> {
    const { intake, progress } = this.#service.path;
    while (intake.inFlight > 0) await new Promise(setImmediate);
    const seq = progress.loadNextSeq() - 1;
    await new Promise<void>((resolve) => this.#service.whenApplied(seq, resolve));
  }
}

async function measure(
  folder: string,
  size: BenchSize,
): Promise<{
  readonly rounds: readonly Round[];
  readonly productsMax: number;
  readonly came: number;
}> {
  const { memory, shards, listed, warmUp, round, rounds: count } = SIZES[size];
  let productsMax = 0;
  const write = (line: string) => {
    productsMax = (JSON.parse(line) as { productsMax?: number }).productsMax ?? productsMax;
  };
  const config = loadConfig({
    PORT: '0',
    DATA_DIR: folder,
    MAX_MEMORY_USAGE: memory,
    SHARDS: shards,
    WORKERS: '2',
    GC_INTERVAL: '1s',
    TOMBSTONE_RETENTION: '1s',
  });
  const logger = pino({ level: 'info' }, { write });
  const service = await Service.start({ config, logger });
  const catalogue = new Catalogue(service, listed);
  const rounds: Round[] = [];
  try {
    await service.ready();
    await catalogue.churn(warmUp);
    await catalogue.update(2 * round);
    for (let i = 0; i < count; i++) {
      const churnPerSecond = await catalogue.churn(round);
      const residentBytes = process.memoryUsage.rss();
      const updatesPerSecond = await catalogue.update(2 * round);
      rounds.push({ churnPerSecond, updatesPerSecond, residentBytes });
    }
    catalogue.verify(service);
  } finally {
    await service.stop();
  }
  const again = await Service.start({ config, logger });
  try {
    await again.ready();
    catalogue.verify(again);
  } finally {
    await again.stop();
  }
  return { rounds, productsMax, came: warmUp + count * round };
}

async function bench(size: BenchSize): Promise<Report> {
  const { listed, warmUp, round } = SIZES[size];
  const { rounds, productsMax, came } = await withScratchFolder((folder) => measure(folder, size));
  const memory = rounds.map(({ residentBytes }) => residentBytes);
  return {
    name: 'Products that come and go',
    conditions: [
      `${figure(came)} products through a store for ${figure(productsMax)}, of which ${figure(listed)} are listed at a time; after ${figure(warmUp)} of them, ${rounds.length} rounds of ${figure(2 * round)} events that insert and delist took turns with as many that update the listed ones; medians`,
      'CLEANUP_THRESHOLD 0.8, GC_INTERVAL 1s, TOMBSTONE_RETENTION 1s; single events in the process, 2 appliers, fdatasync for each batch, a checkpoint whenever one is due or the cleanup needs one',
    ],
    tables: [
      {
        title: 'Rounds',
        columns: ['round', 'events/s, come and go', 'events/s, updates', 'ratio', 'resident MB'],
        rows: rounds.map((each, i) => [
          String(i + 1),
          figure(each.churnPerSecond),
          figure(each.updatesPerSecond),
          (each.churnPerSecond / each.updatesPerSecond).toFixed(2),
          figure(each.residentBytes / 1e6),
        ]),
      },
    ],
    aims: [
      {
        what: 'events/s of products that come and go, of those of updates',
        measured: median(rounds.map((each) => each.churnPerSecond / each.updatesPerSecond)),
        wanted: COST_WANTED,
        better: 'higher',
        unit: '',
      },
      {
        what: 'resident memory after the last round, of that after the second',
        measured: (memory.at(-1) ?? 0) / (memory[1] ?? 1),
        wanted: GROWTH_WANTED,
        better: 'lower',
        unit: '',
      },
    ],
    notes: [
      'A round in which the store is full waits for the cleanup: until all that was delisted so far is forgotten, and two states of each part of the checkpoint are written.',
      'Exactly the products that had come last were listed, then and after a start from the files.',
    ],
  };
}

await runBench(bench);
