/**
 * A cluster beside the file log, everything on the same cores.
 *
 *   this process ──HTTP──▶ instance a ─┐                        in turns with
 *                ├───────▶ instance b ─┼─▶ nats-server × 3      ──HTTP──▶ main.ts, LOG=file
 *                └───────▶ instance c ─┘     (stream of 3 copies)
 *   and          ──HTTP──▶ one instance ──▶ nats-server × 1
 *
 * Single events at a steady rate; bulk until all three have applied it; reads of each instance; instances that join
 * from the stream, and from a peer; the longest pause of writes and reads when a server is killed. A sample of the
 * products is read back from every instance after each part that wrote. Without nats-server nothing is measured, and
 * the report says so. `--only=` measures one of the parts: `alone` (bulk, and joining from the stream), `peer`,
 * `three` (bulk, and both ways of joining beside all of them), `live`.
 * (Over 300 lines: all parts measure the one cluster.)
 */
import { mkdirSync } from 'node:fs';
import { availableParallelism } from 'node:os';
import { join } from 'node:path';
import { batchProducts, batchValue, passBlocks } from './support/batch-body.ts';
import { uploadBatch } from './support/batch-upload.ts';
import { applied, BenchCluster, LEAN } from './support/bench-cluster.ts';
import { type LoadResult, loadShapes, reads, sendLoad } from './support/http-load.ts';
import { readProducts } from './support/http-state.ts';
import { NatsProcesses, natsVersion } from './support/nats-processes.ts';
import { pacedPosts, SteadyClients } from './support/paced-posts.ts';
import { percentile } from './support/percentile.ts';
import { type Aim, figure, median, type Report, type Table } from './support/report.ts';
import { type BenchSize, runBench } from './support/run-bench.ts';
import { withScratchFolder } from './support/scratch-folder.ts';
import { ServerProcess } from './support/server-process.ts';
import { processCpuMs } from './support/thread-times.ts';

const SEED = 20_261_130;
const PER_SECOND = 300;
const SAMPLE = 200;
const NAMES = ['a', 'b', 'c'];
const SIZES = {
  full: {
    // An instance joins with a million products; elsewhere fewer do.
    products: { alone: 200_000, peer: 1_000_000, three: 1_000_000, live: 100_000 },
    passes: { alone: 5, peer: 1, three: 1, live: 1 },
    ...{ rounds: 2, seconds: 8, stallMs: 12_000, gets: 1000 },
  },
  smoke: {
    products: { alone: 2_000, peer: 2_000, three: 2_000, live: 2_000 },
    passes: { alone: 2, peer: 1, three: 1, live: 1 },
    ...{ rounds: 1, seconds: 1, stallMs: 500, gets: 16 },
  },
} as const;
const WANTED = {
  p50Ms: 2.5,
  p99Ms: 15,
  bulk: 250_000,
  alone: 700_000,
  streamed: 1_000_000,
  takenSeconds: 3,
  followerMs: 600,
  leaderMs: 10_000,
  getRatio: 0.97,
} as const;

const PARTS = ['alone', 'peer', 'three', 'live'] as const;
type Part = (typeof PARTS)[number];

/** Services that a batch is sent to the first of, and that must have it in the end. */
interface Target {
  readonly name: string;
  readonly services: readonly ServerProcess[];
  readonly nats?: NatsProcesses;
}

interface Joining {
  readonly from: 'the stream' | 'a peer';
  /** How many instances, each with a server. */
  readonly beside: 'one' | 'three';
  /** Over the products, since the stream began. */
  readonly passes: number;
}

interface Bulk {
  readonly durable: number;
  readonly applied: number;
  /** Of each service, for an event. */
  readonly cpuUs: readonly number[];
  /** Of all NATS servers together. */
  readonly natsCpuUs: number;
}

class ClusterBench {
  readonly tables: Table[] = [];
  readonly aims: Aim[] = [];
  readonly #joined: string[][] = [];
  readonly #size: (typeof SIZES)[BenchSize];
  /** Of the part at hand. */
  #ids: string[] = [];
  #passesEach = 1;
  #passes = 0;

  constructor(size: BenchSize) {
    this.#size = SIZES[size];
  }

  async run(folder: string, parts: readonly Part[]): Promise<void> {
    const file = await ServerProcess.start('src/main.ts', { ...LEAN, DATA_DIR: join(folder, 'f') });
    if (parts.includes('alone')) await this.#alone(folder, file);
    if (parts.includes('peer')) await this.#peer(folder);
    if (parts.includes('three') || parts.includes('live')) await this.#three(folder, file, parts);
    await file.stop();
    if (this.#joined.length > 0) {
      this.tables.push({
        title: 'Instances that join, from the start of each until it has everything',
        columns: ['from', 'beside', 'products', 'events', 'seconds', 'events/s'],
        rows: this.#joined,
      });
    }
  }

  #begin(part: Part): void {
    this.#ids = batchProducts(this.#size.products[part]);
    this.#passesEach = this.#size.passes[part];
  }

  async #alone(folder: string, file: ServerProcess): Promise<void> {
    this.#begin('alone');
    const { nats, cluster, one } = await this.#single(folder, 'alone');
    await this.#bulks([
      { name: 'file log', services: [file] },
      { name: 'one instance, one server', services: [one], nats },
    ]);
    const passes = this.#passesEach * (this.#size.rounds + 1);
    const seconds = await this.#joining(cluster, { from: 'the stream', beside: 'one', passes });
    const rate = (this.#ids.length * passes) / seconds;
    this.#aim('joining from the stream', rate, WANTED.streamed, 'higher', 'events/s');
    await one.stop();
    await nats.stop();
  }

  /** A million products, each written once. */
  async #peer(folder: string): Promise<void> {
    this.#begin('peer');
    const { nats, cluster, one } = await this.#single(folder, 'peer');
    await this.#upload({ name: '', services: [one], nats });
    await cluster.trim();
    const seconds = await this.#joining(cluster, { from: 'a peer', beside: 'one', passes: 1 });
    const what = `joining from a peer, ${figure(this.#ids.length)} products`;
    this.#aim(what, seconds, WANTED.takenSeconds, 'lower', 's');
    await one.stop();
    await nats.stop();
  }

  /** A cluster of one instance and one server. */
  async #single(folder: string, part: Part) {
    const nats = await NatsProcesses.start(folder, 1);
    const data = join(folder, part);
    mkdirSync(data);
    const cluster = BenchCluster.begin(nats, data, part, 1);
    return { nats, cluster, one: await cluster.start('a') };
  }

  async #three(folder: string, file: ServerProcess, parts: readonly Part[]): Promise<void> {
    const nats = await NatsProcesses.start(folder, 3);
    const data = join(folder, 'three');
    mkdirSync(data);
    const cluster = BenchCluster.begin(nats, data, 'three', 3);
    const instances = await Promise.all(NAMES.map((name) => cluster.start(name)));
    if (parts.includes('three')) {
      this.#begin('three');
      await this.#bulks([{ name: 'three instances, three servers', services: instances, nats }]);
      const joining = { beside: 'three', passes: this.#size.rounds + 1 } as const;
      await this.#joining(cluster, { from: 'the stream', ...joining });
      await cluster.trim();
      await this.#joining(cluster, { from: 'a peer', ...joining });
    }
    if (parts.includes('live')) {
      this.#begin('live');
      for (const services of [[file], instances]) await this.#upload({ name: '', services });
      await this.#paced(file, instances);
      await this.#gets(file, instances);
      await this.#stalls(cluster, instances);
    }
    for (const instance of instances) await instance.stop();
    await nats.stop();
  }

  /** Sends a pass to the first of `services`; throws unless all of them have it in the end. */
  async #upload({ services, nats }: Target): Promise<Bulk> {
    const body: Buffer[] = [];
    for (let i = 0; i < this.#passesEach; i++) {
      body.push(...passBlocks(this.#ids, this.#passes, SEED + this.#passes++));
    }
    const events = this.#ids.length * this.#passesEach;
    const natsCpuMs = () =>
      (nats?.servers ?? []).reduce((ms, { pid }) => ms + processCpuMs(pid), 0);
    const before = services.map(({ pid }) => processCpuMs(pid));
    const natsBefore = natsCpuMs();
    const startMs = performance.now();
    const answer = await uploadBatch(services[0].url, '?on_error=continue', body);
    if (answer.accepted !== events) throw new Error(`${answer.accepted} of ${events} were taken`);
    await Promise.all(services.map(({ url }) => applied(url, answer.lastSeq ?? 0)));
    const seconds = (performance.now() - startMs) / 1000;
    const cpuUs = services.map(({ pid }, i) => ((processCpuMs(pid) - before[i]) * 1000) / events);
    const natsCpuUs = ((natsCpuMs() - natsBefore) * 1000) / events;
    for (const { url } of services) await readProducts(url, this.#sample());
    return { durable: events / answer.seconds, applied: events / seconds, cpuUs, natsCpuUs };
  }

  async #bulks(targets: readonly Target[]): Promise<void> {
    const results = new Map(targets.map((target) => [target, [] as Bulk[]]));
    for (const target of targets) await this.#upload(target);
    for (let round = 0; round < this.#size.rounds; round++) {
      for (const target of targets) results.get(target)?.push(await this.#upload(target));
    }
    this.tables.push({
      title: `Bulk, ${targets.map(({ name }) => name).join(' beside ')}`,
      columns: [
        'service',
        'durable events/s',
        'applied on all, events/s',
        'CPU µs per event, each',
        'of NATS',
      ],
      rows: [...results].map(([{ name }, bulks]) => [
        name,
        figure(median(bulks.map(({ durable }) => durable))),
        figure(median(bulks.map((bulk) => bulk.applied))),
        bulks[0].cpuUs
          .map((_, i) => figure(median(bulks.map(({ cpuUs }) => cpuUs[i]))))
          .join(' · '),
        figure(median(bulks.map(({ natsCpuUs }) => natsCpuUs))),
      ]),
    });
    for (const [{ name, services }, bulks] of results) {
      if (name === 'file log') continue;
      const measured = median(bulks.map((bulk) => bulk.applied));
      const wanted = services.length === 1 ? WANTED.alone : WANTED.bulk;
      this.#aim(`bulk, ${name}, applied`, measured, wanted, 'higher', 'events/s');
    }
  }

  /** Instances that have nothing, one after the other; the median of the seconds from the start of each until it has all. */
  async #joining(cluster: BenchCluster, { from, beside, passes }: Joining): Promise<number> {
    const events = this.#ids.length * passes;
    const each: number[] = [];
    for (let round = 0; round < this.#size.rounds; round++) {
      const startMs = performance.now();
      const instance = await cluster.start(`${from} ${round}`);
      await applied(instance.url, events);
      each.push((performance.now() - startMs) / 1000);
      await readProducts(instance.url, this.#sample());
      await instance.stop();
    }
    const seconds = median(each);
    const all = figure(events);
    const rate = figure(events / seconds);
    this.#joined.push([from, beside, figure(this.#ids.length), all, figure(seconds), rate]);
    return seconds;
  }

  async #paced(file: ServerProcess, instances: readonly ServerProcess[]): Promise<void> {
    const { seconds } = this.#size;
    const rows: string[][] = [];
    for (const [name, services] of [
      ['file log', [file]],
      ['three instances', instances],
    ] as const) {
      const urls = services.map(({ url }) => url);
      await pacedPosts(urls, PER_SECOND, 1);
      const posted = await pacedPosts(urls, PER_SECOND, seconds);
      if (new Set(posted.map(({ seq }) => seq)).size !== posted.length) {
        throw new Error('one seq was given twice');
      }
      const sorted = Float64Array.from(posted, ({ ms }) => ms).sort();
      const [p50, p99] = [percentile(sorted, 50), percentile(sorted, 99)];
      rows.push([name, figure(p50), figure(p99)]);
      if (name === 'file log') continue;
      this.#aim('durable POST, p50', p50, WANTED.p50Ms, 'lower', 'ms');
      this.#aim('durable POST, p99', p99, WANTED.p99Ms, 'lower', 'ms');
    }
    this.tables.push({
      title: `Durable POST, ${PER_SECOND} events a second for ${seconds} s`,
      columns: ['service', 'p50 ms', 'p99 ms'],
      rows,
    });
  }

  async #gets(file: ServerProcess, instances: readonly ServerProcess[]): Promise<void> {
    const services = [file, ...instances];
    const [{ shape }] = loadShapes({ ofMany: this.#size.gets, ofOne: 1 });
    const requests = reads(this.#ids.slice(0, 2000));
    const results = services.map(() => [] as LoadResult[]);
    for (let round = -1; round < this.#size.rounds * 2; round++) {
      const order = round % 2 === 0 ? services : services.toReversed();
      for (const service of order) {
        const result = await sendLoad(service.url, requests, shape, service.pid);
        if (round >= 0) results[services.indexOf(service)].push(result);
      }
    }
    const ratios = results.map((own) =>
      median(own.map((one, i) => one.requestsPerSecond / results[0][i].requestsPerSecond)),
    );
    this.tables.push({
      title: 'GET, 64 connections, each service by itself',
      columns: ['service', 'requests/s', 'ratio', 'CPU µs per read'],
      rows: results.map((own, i) => [
        i === 0 ? 'file log' : `instance ${NAMES[i - 1]}`,
        figure(median(own.map((one) => one.requestsPerSecond))),
        figure(ratios[i]),
        figure(median(own.map((one) => one.cpuUs ?? 0))),
      ]),
    });
    const measured = Math.min(...ratios.slice(1));
    this.#aim(
      'GET, the slowest instance, of the file log',
      measured,
      WANTED.getRatio,
      'higher',
      '',
    );
  }

  /** Kills a server that does not lead the stream, then the one that does. */
  async #stalls(cluster: BenchCluster, instances: readonly ServerProcess[]): Promise<void> {
    const urls = instances.map(({ url }) => url);
    const path = `/api/v1/products/${this.#ids[0]}`;
    const rows: string[][] = [];
    for (const kind of ['another server', 'the leading server'] as const) {
      const leader = cluster.leader();
      const isLeader = kind === 'the leading server';
      const server = cluster.nats.servers.find(({ name }) => (name === leader) === isLeader);
      const writers = new SteadyClients(urls, 'writes', path);
      const readers = new SteadyClients(urls, 'reads', path);
      await new Promise((resolve) => setTimeout(resolve, 500));
      await server?.kill();
      await new Promise((resolve) => setTimeout(resolve, this.#size.stallMs));
      const [writeMs, readMs] = [await writers.stop(), await readers.stop()];
      if (readers.failures > 0) throw new Error(`${readers.failures} reads were not answered`);
      server?.start();
      await cluster.nats.ready();
      rows.push([kind, figure(writeMs), String(writers.failures), figure(readMs)]);
      const wanted = isLeader ? WANTED.leaderMs : WANTED.followerMs;
      this.#aim(`pause of writes, ${kind} killed`, writeMs, wanted, 'lower', 'ms');
    }
    this.tables.push({
      title: 'A NATS server is killed: the longest time without an answer',
      columns: ['which', 'writes, ms', 'writes refused', 'reads, ms'],
      rows,
    });
  }

  /** What some products are after the last pass. */
  #sample(): string[] {
    const { length } = this.#ids;
    const pass = this.#passes - 1;
    return Array.from({ length: SAMPLE }, (_, i) => {
      const product = Math.floor((i * length) / SAMPLE);
      return JSON.stringify({ id: this.#ids[product], ...batchValue(product, pass) });
    });
  }

  #aim(what: string, measured: number, wanted: number, better: Aim['better'], unit: string): void {
    this.aims.push({ what, measured, wanted, better, unit });
  }
}

async function bench(size: BenchSize): Promise<Report> {
  const version = natsVersion();
  const name = 'A cluster beside the file log';
  if (version === undefined) {
    const notes = ['nats-server is not installed: nothing was measured.'];
    return { name, conditions: [], tables: [], aims: [], notes };
  }
  const measured = new ClusterBench(size);
  const isOnly = process.argv.some((argument) => argument.startsWith('--only='));
  const parts = PARTS.filter((part) => !isOnly || process.argv.includes(`--only=${part}`));
  await withScratchFolder((folder) => measured.run(folder, parts));
  const { products, passes, rounds } = SIZES[size];
  return {
    name,
    conditions: [
      `nats-server ${version} in its defaults (no flush before it answers), ${availableParallelism()} cores for clients, instances and servers; an applier for each instance, and 512MB of store`,
      `bulk: ${rounds} batches after one to warm up, medians; alone ${passes.alone} times ${figure(products.alone)} products, three instances ${figure(products.three)}`,
    ],
    tables: measured.tables,
    aims: measured.aims,
    notes: [
      'Every instance was read back after each pass; every read while servers were killed was answered, with 200.',
    ],
  };
}

await runBench(bench);
