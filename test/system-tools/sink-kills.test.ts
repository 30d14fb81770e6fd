/**
 * The service and its sinks' databases, killed (SIGKILL), stood still (SIGSTOP) and refused under load, again and
 * again: in the end a sink has what the service has, row by row. `ROUNDS=50` for many; a few in the gate.
 */
import t, { type Test } from 'tap';
import type { ProductRow } from '../../src/sinks/sink.ts';
import { polled } from '../helpers/bounded.ts';
import { ApiClient } from '../helpers/clients/api-client.ts';
import { tempDir } from '../helpers/disks/temp-dir.ts';
import { Random } from '../helpers/models/random.ts';
import { ServiceProcess } from '../helpers/processes/service-process.ts';
import { type SinkTargetWorld, TARGETS } from '../helpers/sinks/sink-targets.ts';
import { msOf } from '../helpers/sinks/sqlite-rows.ts';

const ROUNDS = Number(process.env.ROUNDS ?? 1);
const PRODUCTS = 2000;
const BATCH_EVENTS = 400;
const WAIT_MS_MAX = 120_000;
/** Longer than CONNECTION_TIMEOUT below. */
const STILL_MS = 1200;

const ENV = {
  MAX_MEMORY_USAGE: '16MB',
  SHARDS: '8',
  WORKERS: '2',
  BATCH_SIZE: '200',
  BATCH_FLUSH_INTERVAL: '10ms',
  CONNECTION_TIMEOUT: '800ms',
  INITIAL_RETRY_DELAY: '5ms',
  MAX_RETRY_DELAY: '50ms',
  CIRCUIT_BREAKER_TIMEOUT: '100ms',
};

/** What is done to it in a round; the database's own only where it is a server. */
const HARMS = [
  'kill service',
  'kill database',
  'database stands still',
  'service stands still',
] as const;
type Harm = (typeof HARMS)[number];

class World {
  readonly #t: Test;
  readonly #cwd: string;
  readonly #target: SinkTargetWorld;
  readonly #random: Random;
  service: ServiceProcess | undefined;
  port = 0;

  constructor(t: Test, target: SinkTargetWorld, random: Random) {
    this.#t = t;
    this.#cwd = tempDir(t);
    this.#target = target;
    this.#random = random;
  }

  async start(): Promise<void> {
    const env = { ...ENV, SINKS: this.#target.sink };
    this.service = ServiceProcess.spawn(this.#t, { cwd: this.#cwd, env });
    this.port = await this.service.ready();
  }

  /** Sends batches until told to stop; what is answered with an error, or not, is nobody's business here. */
  load(): () => Promise<void> {
    let isOver = false;
    const run = async () => {
      while (!isOver) await this.send(this.#lines()).catch(() => new Promise(setImmediate));
    };
    const running = run();
    return async () => {
      isOver = true;
      await running;
    };
  }

  async send(body: string): Promise<void> {
    const client = new ApiClient(this.port);
    await client.send('POST', '/api/v1/events/batch', body, {
      'content-type': 'application/x-ndjson',
    });
  }

  #lines(): string {
    const random = this.#random;
    let text = '';
    for (let n = 0; n < BATCH_EVENTS; n++) {
      const id = `p${random.below(PRODUCTS)}`;
      const at = 1_767_225_600_000 + random.below(1e7);
      text += `{"product_id":"${id}","price":${random.below(1e6) / 100},"stock":${random.below(1000)},"occurred_at":${at}}\n`;
    }
    return text;
  }

  async harm(harm: Harm): Promise<void> {
    const { server } = this.#target;
    const still = (go: () => void) =>
      new Promise<void>((resolve) => {
        setTimeout(() => {
          go();
          resolve();
        }, STILL_MS);
      });
    switch (harm) {
      case 'kill service':
        this.service?.kill('SIGKILL');
        await this.service?.exited;
        await this.start();
        return;
      case 'kill database':
        await server?.kill();
        // Refused meanwhile.
        await still(() => undefined);
        await server?.start();
        return;
      case 'database stands still':
        server?.pause();
        await still(() => server?.goOn());
        return;
      case 'service stands still':
        this.service?.kill('SIGSTOP');
        await still(() => this.service?.kill('SIGCONT'));
        return;
    }
  }

  /** Resolves when the sink has everything; then compares all rows. */
  async compare(t: Test, round: string): Promise<void> {
    const client = new ApiClient(this.port);
    const last = '{"product_id":"last","price":1,"stock":1}';
    const { text } = await client.send('POST', '/api/v1/events?ack=applied', last, {
      'content-type': 'application/json',
    });
    const { seq } = JSON.parse(text);
    await polled(
      async () => {
        const position = await this.#target.position().catch(() => 0);
        return position >= seq ? true : undefined;
      },
      WAIT_MS_MAX,
      `${round}: the sink to reach ${seq}`,
    );
    const rows = await this.#target.rows();
    t.strictSame(rows, await this.#exported(client), round);
  }

  async #exported(client: ApiClient): Promise<ProductRow[]> {
    const { text } = await client.send('GET', '/api/v1/products?view=full', undefined, {
      accept: 'application/x-ndjson',
    });
    const products = text
      .trimEnd()
      .split('\n')
      .map((line) => JSON.parse(line));
    return products
      .map((each) => ({
        id: each.id,
        price: each.price,
        stock: each.stock,
        priceAtMs: msOf(each.price_at),
        stockAtMs: msOf(each.stock_at),
        seq: each.seq,
        updatedAtMs: msOf(each.updated_at),
      }))
      .sort((a, b) => (a.id < b.id ? -1 : 1));
  }
}

for (const [name, makeTarget] of Object.entries(TARGETS)) {
  t.test(`${name}: ${ROUNDS} rounds`, { timeout: 3_600_000 }, async (t) => {
    const random = new Random();
    const target = await makeTarget(t);
    const world = new World(t, target, random);
    await world.start();
    const harms =
      target.server === undefined ? HARMS.filter((harm) => !harm.includes('database')) : HARMS;
    for (let round = 0; round < ROUNDS; round++) {
      const harm = harms[round % harms.length];
      const stopLoad = world.load();
      // Somewhere in a window: nobody knows where, and that is the point.
      await new Promise((resolve) => setTimeout(resolve, 30 + random.below(200)));
      await world.harm(harm);
      await stopLoad();
      await world.compare(t, `round ${round}: ${harm}, seed ${random.seed}`);
    }
  });
}
