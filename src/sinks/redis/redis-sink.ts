/**
 * The sink in Redis: a hash for each product, as a read tier for other services. The sink's own thread.
 *
 * The functions of redis-functions.ts take a product only if its seq is higher, so that nothing can be undone,
 * whoever writes when. The position is written after the products: what a kill leaves in between is found again. The
 * newest event is written before them.
 *
 * One writer: a lease of the sink's key, and an epoch. A lease that a killed process left is taken over at once
 * by one on the same host that sees it gone, and by others when it is over.
 *
 * In a cluster each product lives on a master of its own, and a failover may cost it the last second of writes
 * while the position, on another master, stands. So a position goes with a safe one, which was reached SAFE_MS
 * before; a cluster's sink is opened there, and what is still there is found to be no newer.
 */
import { randomUUID } from 'node:crypto';
import { hostname } from 'node:os';
import { timeText } from '../../time/microseconds.ts';
import { classOfNetworkError } from '../network-errors.ts';
import {
  type ErrorClass,
  type NewestEvent,
  type ProductRow,
  type Sink,
  SinkForeignError,
  type SinkOptions,
  type SinkPlace,
  SinkTakenError,
} from '../sink.ts';
import { connectRedis, type RedisConnection } from './redis-connection.ts';
import { classOfRedisError } from './redis-errors.ts';
import { slotOf } from './redis-slot.ts';

/** Products in one call: the server answers nobody else meanwhile. */
const CALL_PRODUCTS_MAX = 500;
/** Calls under way at a time. */
const ROUND_CALLS_MAX = 500;
/** How far apart positions are that may become the safe one. */
const MOVE_EVERY_MS = 1_000;
/** Longer than beats are apart. */
const LEASE_MS = 30_000;
const SAFE_MS = 60_000;

export interface RedisTarget {
  /** redis://… or rediss://…, without the parameter `prefix`. */
  readonly url: string;
  /** Before the id in a product's key. */
  readonly prefix: string;
}

interface Writer {
  readonly connection: RedisConnection;
  readonly epoch: string;
}

export class RedisSink implements Sink {
  readonly #target: RedisTarget;
  readonly #options: SinkOptions;
  readonly #key: string;
  readonly #instance: string;
  #writer: Writer | undefined;
  /** Positions and when they were written, oldest first. */
  #moves: { readonly atMs: number; readonly position: number }[] = [];
  #safe = 0;
  /** The newest event that the sink's key tells of. */
  #newestSeq = 0;

  constructor(target: RedisTarget, options: SinkOptions) {
    this.#target = target;
    this.#options = options;
    this.#key = `product-service:sink:${target.prefix}`;
    this.#instance = instanceName(hostname(), process.pid, randomUUID());
  }

  async open(): Promise<SinkPlace> {
    const { identity, before, timeoutMs } = this.#options;
    const connection = await connectRedis(this.#target.url, timeoutMs);
    try {
      const claim = (gone: string) =>
        connection.call(
          'ps1_claim',
          [this.#key],
          [
            ...[identity, this.#instance, String(LEASE_MS), gone],
            ...[before?.identity ?? '', String(before?.seqMax ?? 0)],
          ],
        );
      const claimed = await claim('').catch((error) => {
        const holder = holderOf(error);
        if (holder === undefined || !isGone(holder)) throw error;
        return claim(holder);
      });
      const [seq, safe, epoch, newestSeq, run] = (claimed as readonly unknown[]).map(String);
      this.#writer = { connection, epoch };
      this.#moves = [];
      this.#safe = Number(safe);
      this.#newestSeq = Number(newestSeq);
      return {
        position: connection.isCluster ? this.#safe : Number(seq),
        newest: { seq: this.#newestSeq, run },
      };
    } catch (error) {
      connection.drop();
      throw named(error);
    }
  }

  async write(rows: readonly ProductRow[], position: number, newest: NewestEvent): Promise<number> {
    const { connection } = this.#opened;
    if (rows.length > 0 && newest.seq > this.#newestSeq) await this.#move(0, newest);
    let written = 0;
    for (const calls of inRounds(
      connection.isCluster ? callsBySlot(rows, this.#target.prefix) : callsOf(rows),
    )) {
      const counts = await Promise.all(calls.map((call) => this.#writeCall(call)));
      for (const count of counts) written += count;
    }
    await this.#move(position, newest);
    return written;
  }

  async #writeCall(rows: readonly ProductRow[]): Promise<number> {
    const { connection, epoch } = this.#opened;
    const keys = rows.map(({ id }) => this.#target.prefix + id);
    const values = rows.flatMap(valuesOf);
    // In a cluster the sink's own key is on another server; there the lease alone keeps others away.
    const call = connection.isCluster
      ? connection.call('ps1_write', keys, ['', ...values])
      : connection.call('ps1_write', [this.#key, ...keys], [epoch, ...values]);
    const count = Number(await call);
    if (count < 0) throw new SinkTakenError(TAKEN);
    return count;
  }

  async #move(position: number, newest?: NewestEvent): Promise<void> {
    const { connection, epoch } = this.#opened;
    const nowMs = performance.now();
    while ((this.#moves[0]?.atMs ?? nowMs) < nowMs - SAFE_MS) {
      this.#safe = Math.max(this.#safe, this.#moves.shift()?.position ?? 0);
    }
    const values = [
      epoch,
      String(position),
      String(Math.min(this.#safe, position)),
      String(LEASE_MS),
      ...(newest === undefined ? [] : [String(newest.seq), newest.run]),
    ];
    if ((await connection.call('ps1_move', [this.#key], values)) !== 1) {
      throw new SinkTakenError(TAKEN);
    }
    this.#newestSeq = newest?.seq ?? this.#newestSeq;
    const last = this.#moves.at(-1);
    if (position > (last?.position ?? 0) && nowMs - (last?.atMs ?? 0) > MOVE_EVERY_MS) {
      this.#moves.push({ atMs: nowMs, position });
    }
  }

  async *listed(): AsyncIterable<readonly string[]> {
    const { connection } = this.#opened;
    const { prefix } = this.#target;
    for await (const keys of connection.keys(prefix)) {
      const flags = await connection.fields(keys, 'listed');
      yield keys.filter((_, i) => flags[i] === '1').map((key) => key.slice(prefix.length));
    }
  }

  async beat(): Promise<void> {
    await this.#move(0);
  }

  classify(error: unknown): ErrorClass {
    return classOfNetworkError(error) ?? classOfRedisError(error);
  }

  async close(): Promise<void> {
    const writer = this.#writer;
    this.#writer = undefined;
    if (writer === undefined) return;
    await writer.connection.call('ps1_leave', [this.#key], [writer.epoch]).catch(() => undefined);
    writer.connection.drop();
  }

  get #opened(): Writer {
    if (this.#writer === undefined) throw new Error('there is no connection');
    return this.#writer;
  }
}

const TAKEN = 'another instance writes to this Redis';

/** Calls of up to so many products; in a cluster each is a slot's. */
function callsOf(rows: readonly ProductRow[]): ProductRow[][] {
  const calls: ProductRow[][] = [];
  for (let from = 0; from < rows.length; from += CALL_PRODUCTS_MAX) {
    calls.push(rows.slice(from, from + CALL_PRODUCTS_MAX));
  }
  return calls;
}

function callsBySlot(rows: readonly ProductRow[], prefix: string): ProductRow[][] {
  const bySlot = Map.groupBy(rows, ({ id }) => slotOf(prefix + id));
  return [...bySlot.values()].flatMap(callsOf);
}

/** So that no more than ROUND_CALLS_MAX are under way. */
function* inRounds(calls: readonly ProductRow[][]): Iterable<ProductRow[][]> {
  for (let from = 0; from < calls.length; from += ROUND_CALLS_MAX) {
    yield calls.slice(from, from + ROUND_CALLS_MAX);
  }
}

/** In the order of ps1_write; '' = not there. */
function valuesOf(row: ProductRow): string[] {
  const { price, stock, priceAtMs, stockAtMs, seq, updatedAtMs } = row;
  return [
    price === null ? '' : String(price),
    stock === null ? '' : String(stock),
    priceAtMs === null ? '' : timeText(priceAtMs),
    stockAtMs === null ? '' : timeText(stockAtMs),
    price === null && stock === null ? '0' : '1',
    String(seq),
    timeText(updatedAtMs),
  ];
}

/** Who an instance is, so that others on this host can see whether it is still there. */
function instanceName(host: string, pid: number, own: string): string {
  return `${host} ${pid} ${Math.round(performance.timeOrigin)} ${own}`;
}

/** Whether the instance was a process of this host that is no more. */
function isGone(instance: string): boolean {
  const [host, pid, started] = instance.split(' ');
  if (host !== hostname()) return false;
  // The same id again: a container's first process, or chance.
  if (Number(pid) === process.pid) return started !== String(Math.round(performance.timeOrigin));
  try {
    process.kill(Number(pid), 0);
    return false;
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === 'ESRCH';
  }
}

/** The instance that holds the lease, as the server's answer names it. */
function holderOf(error: unknown): string | undefined {
  return error instanceof Error ? /^TAKEN (.*)$/.exec(error.message)?.[1] : undefined;
}

/** The contract's errors for what the functions say. */
function named(error: unknown): unknown {
  if (holderOf(error) !== undefined) return new SinkTakenError(TAKEN);
  if (error instanceof Error && error.message.startsWith('FOREIGN')) {
    return new SinkForeignError(
      'this Redis has the products of another data folder; see docs/sinks.md',
    );
  }
  return error;
}
