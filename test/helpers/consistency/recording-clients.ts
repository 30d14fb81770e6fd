/** Clients of a cluster that write and read through any instance, and note what they did and were told. Tests only. */
import { polled } from '../bounded.ts';
import type { Random } from '../models/random.ts';
import type { InstanceUnderTest } from '../replication/cluster-under-test.ts';
import type { ClientHistory, Read, Write } from './client-history.ts';
import { randomFields } from './simulated-cluster.ts';

const ANSWER_MS_MAX = 8000;
const PAUSE_MS = 20;
const LAST_MS_MAX = 120_000;
/** Events of the timed products lie so far around each other. */
const TIMES_MS = 2000;
const TIMED = ['timed-1', 'timed-2', 'timed-3', 'timed-4'];
const ARRIVING = ['arriving-1', 'arriving-2', 'arriving-3', 'arriving-4'];

type Instances = ReadonlyMap<string, InstanceUnderTest>;

export class RecordingClients {
  readonly writes: Write[] = [];
  readonly reads: Read[] = [];
  readonly #instances: Instances;
  readonly #random: Random;
  readonly #baseMs = Date.now();
  #clients: Promise<void>[] = [];
  #isStopping = false;
  #values = 0;
  #acknowledged = 0;

  constructor(instances: Instances, random: Random) {
    this.#instances = instances;
    this.#random = random;
  }

  get acknowledged(): number {
    return this.#acknowledged;
  }

  /** The greatest seq that anybody was told. */
  get lastSeq(): number {
    return this.writes.reduce((last, { seqs }) => Math.max(last, ...seqs), 0);
  }

  start(count: number): void {
    this.#clients = Array.from({ length: count }, () => this.#client());
  }

  async stop(): Promise<void> {
    this.#isStopping = true;
    await Promise.all(this.#clients);
  }

  /** Reads what every instance has in the end, and returns all of it. */
  async history(): Promise<ClientHistory> {
    const last: Read[] = [];
    for (const name of this.#instances.keys()) {
      for (const product of [...TIMED, ...ARRIVING]) {
        const read = () => this.#read(name, product, this.lastSeq);
        last.push(await polled(read, LAST_MS_MAX, `${name} to answer`));
      }
    }
    return { writes: this.writes, reads: this.reads, last };
  }

  async #client(): Promise<void> {
    const random = this.#random;
    let seen = 0;
    while (!this.#isStopping) {
      const product = random.pick(random.chance(0.5) ? TIMED : ARRIVING);
      if (random.chance(0.5)) seen = Math.max(seen, (await this.#write(product)) ?? 0);
      else {
        // What it wrote itself, what anybody wrote, or whatever is there.
        const minSeq = random.pick([seen, this.lastSeq, 0]);
        const read = await this.#read(this.#anyInstance(), product, minSeq);
        if (read === undefined) await pause();
        else this.reads.push(read);
      }
    }
  }

  #anyInstance(): string {
    return this.#random.pick([...this.#instances.keys()]);
  }

  /** Returns the seq, unless it gave up. */
  async #write(product: string): Promise<number | undefined> {
    const random = this.#random;
    const value = ++this.#values;
    const isTimed = TIMED.includes(product);
    const write: Write = {
      product,
      key: `key-${value}`,
      fields: randomFields(random, value),
      occurredAtMs: isTimed ? this.#baseMs - random.below(TIMES_MS) : undefined,
      startMs: performance.now(),
      endMs: Number.POSITIVE_INFINITY,
      seqs: [],
    };
    this.writes.push(write);
    for (;;) {
      const seq = await this.#try(write);
      if (seq !== undefined) {
        if (write.seqs.length === 0) {
          write.endMs = performance.now();
          this.#acknowledged++;
        }
        write.seqs.push(seq);
        // Now and then once more, elsewhere: the key must be known there.
        if (random.chance(0.9)) return seq;
      } else {
        if (write.seqs.length > 0 || random.chance(0.05)) return write.seqs[0];
        await pause();
      }
    }
  }

  async #try({ product, key, fields, occurredAtMs }: Write): Promise<number | undefined> {
    const at = occurredAtMs === undefined ? {} : { occurred_at: occurredAtMs };
    const headers = { 'idempotency-key': key };
    const instance = this.#instances.get(this.#anyInstance());
    try {
      const signal = AbortSignal.timeout(ANSWER_MS_MAX);
      const isWhole = fields.price !== undefined && fields.stock !== undefined;
      const answer = isWhole
        ? await instance?.post({ product_id: product, ...fields, ...at }, headers, '', signal)
        : await instance?.patch(product, { ...fields, ...at }, headers, signal);
      if (answer?.status === 202) return Number(answer.body.seq);
      if (answer !== undefined && answer.status < 500) throw new Refused(JSON.stringify(answer));
      return undefined;
    } catch (error) {
      if (error instanceof Refused) throw error;
      return undefined;
    }
  }

  async #read(name: string, product: string, minSeq: number): Promise<Read | undefined> {
    const startMs = performance.now();
    try {
      const signal = AbortSignal.timeout(ANSWER_MS_MAX);
      const answer = await this.#instances.get(name)?.get(product, minSeq, signal);
      if (answer === undefined || (answer.status !== 200 && answer.status !== 404))
        return undefined;
      const endMs = performance.now();
      const told = { product, instance: name, minSeq, startMs, endMs };
      if (answer.status === 404) return { ...told, found: undefined };
      const { price = null, stock = null } = answer.body;
      const version = Number(answer.headers.get('etag')?.replaceAll('"', ''));
      return { ...told, found: { price: numeric(price), stock: numeric(stock), version } };
    } catch {
      return undefined;
    }
  }
}

/** The service takes none of these events as wrong. */
class Refused extends Error {}

function numeric(value: unknown): number | null {
  return value === null ? null : Number(value);
}

function pause(): Promise<void> {
  return new Promise((resolve) => {
    setTimeout(resolve, PAUSE_MS);
  });
}
