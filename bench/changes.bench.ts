/**
 * The change feed: to one follower, from memory, from files and live; and to many.
 *
 *   this process: the service; events are offered to its intake ─▶ log ─▶ appliers
 *                    └─ main thread ══ server-sent events over loopback ══▶ followers' process
 *
 * Every event changes something. Each follower must get all of them, in order, and the followers'
 * process says so; anything else fails the bench.
 */
import { type ChildProcess, fork } from 'node:child_process';
import { once } from 'node:events';
import { get, type IncomingMessage } from 'node:http';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { pino } from 'pino';
import { loadConfig } from '../src/config/load.ts';
import { Service } from '../src/service.ts';
import { CatalogueStream } from './support/catalogue-stream.ts';
import { figure, median, type Report } from './support/report.ts';
import { type BenchSize, runBench } from './support/run-bench.ts';
import { withScratchFolder } from './support/scratch-folder.ts';

const SEED = 20_260_704;
const PRODUCTS = 10_000;
const QUEUE_SIZE = 32_768;
const FOLLOWERS_FLAG = '--followers';
/** How a change begins. */
const CHANGE = 'data: {"seq":';

const SIZES = {
  full: { recent: 50_000, old: 1_000_000, live: 1_000_000, followers: 1000, seconds: 15 },
  smoke: { recent: 5000, old: 40_000, live: 10_000, followers: 50, seconds: 1 },
} as const;
/** To many: changes a second, in bursts as small as a timer allows. */
const PACED_PER_SECOND = 1000;
const BURST_MS = 10;
const MEMORY_ROUNDS = 7;

interface Order {
  readonly port: number;
  readonly followers: number;
  readonly since: number;
  /** Seq of the last event that will be. */
  readonly last: number;
}

type Answer = { readonly type: 'connected' } | { readonly type: 'done'; readonly ms: number };

/** The followers' process, seen from the service's. */
class Followers {
  readonly #child: ChildProcess;
  /** Rejects when it ends. */
  readonly #ended: Promise<never>;

  constructor() {
    this.#child = fork(fileURLToPath(import.meta.url), [FOLLOWERS_FLAG]);
    this.#ended = once(this.#child, 'exit').then(([code]) => {
      throw new Error(`the followers ended with ${code}`);
    });
    // Whoever waits for an answer hears of it; at the end nobody does.
    this.#ended.catch(() => undefined);
  }

  /** Resolves when all are connected. */
  async start(order: Order): Promise<void> {
    const connected = this.#answer('connected');
    this.#child.send(order);
    await connected;
  }

  /** Resolves to the ms from the first connection until the last follower had everything. */
  async done(): Promise<number> {
    const answer = await this.#answer('done');
    return answer.type === 'done' ? answer.ms : 0;
  }

  end(): void {
    this.#child.kill();
  }

  async #answer(type: Answer['type']): Promise<Answer> {
    for (;;) {
      const message = once(this.#child, 'message');
      const [answer] = (await Promise.race([message, this.#ended])) as [Answer];
      if (answer.type === type) return answer;
    }
  }
}

const nextTurn = () => new Promise(setImmediate);
const WAITER = {
  durable: () => undefined,
  conflict: () => process.exit(1),
  failed: () => process.exit(1),
};

async function send(service: Service, stream: CatalogueStream, count: number): Promise<void> {
  for (let sent = 0; sent < count; ) {
    const event = stream.next();
    while (service.path.intake.offer(event, WAITER) !== 'queued') await nextTurn();
    // A slice of the feed and of the sockets between bursts.
    if (++sent % 1024 === 0) await nextTurn();
  }
  await new Promise<void>((resolve) => service.whenApplied(stream.sent, resolve));
}

async function sendPaced(
  service: Service,
  stream: CatalogueStream,
  seconds: number,
): Promise<void> {
  const startMs = performance.now();
  const count = seconds * PACED_PER_SECOND;
  for (let sent = 0; sent < count; ) {
    const due = Math.min(count, ((performance.now() - startMs) * PACED_PER_SECOND) / 1000);
    for (; sent < due; sent++) service.path.intake.offer(stream.next(), WAITER);
    await new Promise((resolve) => setTimeout(resolve, BURST_MS));
  }
}

async function bench(size: BenchSize): Promise<Report> {
  const { recent, old, live, followers, seconds } = SIZES[size];
  return withScratchFolder(async (folder) => {
    const service = await Service.start({
      config: loadConfig({
        PORT: '0',
        DATA_DIR: join(folder, 'data'),
        MAX_MEMORY_USAGE: '64MB',
        QUEUE_SIZE: String(QUEUE_SIZE),
        WORKERS: '2',
      }),
      logger: pino({ level: 'error' }),
    });
    const others = new Followers();
    try {
      await service.ready();
      const { port } = service;
      const stream = new CatalogueStream(SEED, PRODUCTS);
      const rateOf = async (since: number, last: number) => {
        const done = others.done();
        await others.start({ port, followers: 1, since, last });
        return ((last - since) * 1000) / (await done);
      };
      await send(service, stream, old);
      const fromFiles = await rateOf(0, stream.sent);
      // A fraction of a second each: the median of several.
      const memoryRates: number[] = [];
      for (let i = 0; i < MEMORY_ROUNDS; i++) {
        memoryRates.push(await rateOf(stream.sent - recent, stream.sent));
      }
      const fromMemory = median(memoryRates);

      let done = others.done();
      await others.start({ port, followers: 1, since: stream.sent, last: stream.sent + live });
      await send(service, stream, live);
      const liveRate = (live * 1000) / (await done);

      const order = { port, followers, since: stream.sent };
      done = others.done();
      const paced = seconds * PACED_PER_SECOND;
      await others.start({ ...order, last: stream.sent + paced });
      const cpuBefore = process.cpuUsage();
      await sendPaced(service, stream, Math.ceil(seconds / 3));
      const before = process.memoryUsage();
      await sendPaced(service, stream, seconds - Math.ceil(seconds / 3));
      const after = process.memoryUsage();
      const pacedMs = await done;
      const cpu = process.cpuUsage(cpuBefore);
      stream.verify(service.path.store);
      const grownMb = (after.rss - before.rss) / 2 ** 20;
      const heapMb = (after.heapUsed - before.heapUsed) / 2 ** 20;
      return {
        name: 'Change feed',
        conditions: [
          `${PRODUCTS} products, events offered to the intake in the service's own process, followers in another, all on the same cores, seed ${SEED}`,
          'every follower got every event, in order',
        ],
        tables: [
          {
            title: 'To one follower',
            columns: ['from', 'changes', 'changes/s'],
            rows: [
              ['files', figure(old), figure(fromFiles)],
              ['memory', figure(recent), figure(fromMemory)],
              ['live, while written as fast as possible', figure(live), figure(liveRate)],
            ],
          },
          {
            title: `To ${followers} followers, ${PACED_PER_SECOND} changes/s for ${seconds} s`,
            columns: ['messages/s', 'CPU of the service', 'RSS grown MB', 'heap grown MB'],
            rows: [
              [
                figure((paced * followers * 1000) / pacedMs),
                `${figure((cpu.user + cpu.system) / 1e6 / (pacedMs / 1000))} cores`,
                figure(grownMb),
                figure(heapMb),
              ],
            ],
          },
        ],
        aims: [
          aim('changes/s to one follower, from files', fromFiles),
          aim('changes/s to one follower, from memory', fromMemory),
          aim('changes/s to one follower, live', liveRate),
          {
            what: `RSS grown while ${followers} follow, after the first third`,
            measured: grownMb,
            wanted: 32,
            better: 'lower',
            unit: 'MB',
          },
        ],
        notes: [],
      };
    } finally {
      others.end();
      await service.stop();
    }
  });
}

function aim(what: string, measured: number) {
  return { what, measured, wanted: 200_000, better: 'higher', unit: '/s' } as const;
}

/** The followers' side: one order after the other. */
function runFollowers(): void {
  process.on('message', (order: Order) => void carryOut(order));
  process.once('disconnect', () => process.exit(0));
}

async function carryOut(order: Order): Promise<void> {
  const startMs = performance.now();
  const all = Array.from({ length: order.followers }, () => follow(order));
  await Promise.all(all.map(({ connected }) => connected));
  process.send?.({ type: 'connected' } satisfies Answer);
  await Promise.all(all.map(({ done }) => done));
  process.send?.({ type: 'done', ms: performance.now() - startMs } satisfies Answer);
}

function follow({ port, since, last }: Order) {
  const path = `/api/v1/changes?since=${since}`;
  const request = get({ port, host: '127.0.0.1', path, agent: false });
  const connected = once(request, 'response') as Promise<[IncomingMessage]>;
  const done = connected.then(async ([response]) => {
    let seq = since;
    let rest = '';
    for await (const chunk of response) {
      const text = rest + (chunk as Buffer).toString('latin1');
      let at = 0;
      for (let end = text.indexOf('\n\n'); end !== -1; end = text.indexOf('\n\n', at)) {
        // Events of other kinds begin with their name, or a comment before it.
        if (text.startsWith(CHANGE, at)) {
          const got = Number.parseInt(text.slice(at + CHANGE.length, at + CHANGE.length + 16), 10);
          if (got !== ++seq) throw new Error(`got ${got}, expected ${seq}`);
        }
        at = end + 2;
      }
      rest = text.slice(at);
      if (seq === last) break;
    }
    request.destroy();
    if (seq !== last) throw new Error(`the stream ended at ${seq}, expected ${last}`);
  });
  return { connected, done };
}

if (process.argv.includes(FOLLOWERS_FLAG)) runFollowers();
else await runBench(bench);
