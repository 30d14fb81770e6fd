/**
 * What the status page costs: durable POST while ten people look at it, beside the same while nobody does, and
 * what pages that are left open cost a service at rest.
 *
 *   core 1                                         core 0
 *   wrk, 64 connections ─────────────────────────▶ main.ts, all its threads
 *   10 viewers of /status/stream, or none, in turns ◀──┘ a snapshot a second, once for all
 *
 * One server; each round has both, in the opposite order of the round before, and gives one ratio; the median of all
 * is the result. The data is in memory (/dev/shm), because a disk's flushes vary by more than is looked for here. Viewers
 * are in this process, on wrk's core. At the end the viewers' snapshots are counted.
 */
import { spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { existsSync } from 'node:fs';
import { type ClientRequest, get, type IncomingMessage } from 'node:http';
import { join } from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';
import { figure, median, quartiles, type Report } from './support/report.ts';
import { type BenchSize, runBench } from './support/run-bench.ts';
import { withScratchFolder } from './support/scratch-folder.ts';
import { ServerProcess } from './support/server-process.ts';
import { processCpuMs } from './support/thread-times.ts';
import { hasCores, hasWrk, keepOnCore, sendWrkLoad } from './support/wrk.ts';

const RATIO_WANTED = 0.98;
/** The same by the server's CPU, which varies less from round to round. */
const CPU_RATIO_WANTED = 1.02;
/** Of a core, for all pages that are left open. */
const OPEN_PERCENT_WANTED = 2;
const SERVER_CORE = 0;
const CLIENT_CORE = 1;
const CONNECTIONS = 64;
/** A disk in memory, where there is one. */
const MEMORY = '/dev/shm';
const ROOT = existsSync(MEMORY) ? join(MEMORY, 'product-service-bench') : undefined;
const VIEWERS = 10;
const SECONDS_A_DAY = 86_400;
const SIZES = {
  full: { warmUps: 1, rounds: 14, seconds: 2, idleSeconds: 5, idleRounds: 2, products: 2_000 },
  smoke: { warmUps: 0, rounds: 1, seconds: 1, idleSeconds: 1, idleRounds: 1, products: 100 },
} as const;

/** Somebody who looks at the page. */
class Viewer {
  snapshots = 0;
  bytes = 0;
  readonly #request: ClientRequest;

  private constructor(request: ClientRequest, response: IncomingMessage) {
    this.#request = request;
    response.on('data', (chunk: Buffer) => {
      this.bytes += chunk.length;
      if (chunk.includes('data: ')) this.snapshots++;
    });
    response.on('error', () => undefined);
  }

  static async open(url: string): Promise<Viewer> {
    const request = get(`${url}/status/stream`);
    const [response] = (await once(request, 'response')) as [IncomingMessage];
    if (response.statusCode !== 200) throw new Error(`/status/stream: ${response.statusCode}`);
    return new Viewer(request, response);
  }

  close(): void {
    this.#request.destroy();
  }
}

function openViewers(url: string, count: number): Promise<Viewer[]> {
  return Promise.all(Array.from({ length: count }, () => Viewer.open(url)));
}

interface Load {
  readonly requestsPerSecond: number;
  /** CPU of the server, all threads, for each request. */
  readonly cpuUs: number;
}
interface Round {
  readonly looked: Load;
  readonly alone: Load;
}

/** The load with and without viewers, round by round; throws if a viewer saw too little. */
async function loaded(server: ServerProcess, size: BenchSize): Promise<Round[]> {
  const { warmUps, rounds, seconds, products } = SIZES[size];
  const { url, pid } = server;
  const post = async (): Promise<Load> => {
    const cpuMs = processCpuMs(pid);
    const { requestsPerSecond } = await sendWrkLoad({
      url,
      method: 'POST',
      products,
      edition: 0,
      token: undefined,
      connections: CONNECTIONS,
      seconds,
      core: CLIENT_CORE,
    });
    const cpuUs = ((processCpuMs(pid) - cpuMs) * 1000) / (requestsPerSecond * seconds);
    return { requestsPerSecond, cpuUs };
  };
  const postLookedAt = async () => {
    const viewers = await openViewers(url, VIEWERS);
    const load = await post();
    for (const viewer of viewers) {
      viewer.close();
      if (viewer.snapshots < seconds - 1) throw new Error(`${viewer.snapshots} in ${seconds} s`);
    }
    return load;
  };
  const found: Round[] = [];
  for (let round = 1 - warmUps; round <= rounds; round++) {
    const isFirst = round % 2 === 0;
    const before = isFirst ? await postLookedAt() : await post();
    const after = isFirst ? await post() : await postLookedAt();
    if (round > 0) {
      found.push(isFirst ? { looked: before, alone: after } : { looked: after, alone: before });
    }
  }
  return found;
}

interface Open {
  /** Of a core, for all of them. */
  readonly percent: number;
  /** To each. */
  readonly bytesPerSecond: number;
}

/** Pages left open at a service that has nothing to do, beside none. */
async function atRest({ url, pid }: ServerProcess, size: BenchSize): Promise<Open> {
  const { idleSeconds, idleRounds } = SIZES[size];
  const cpuMs = async () => {
    const before = processCpuMs(pid);
    await pause(idleSeconds * 1000);
    return processCpuMs(pid) - before;
  };
  const more: number[] = [];
  let bytes = 0;
  for (let round = 0; round < idleRounds; round++) {
    const alone = await cpuMs();
    const viewers = await openViewers(url, VIEWERS);
    more.push((await cpuMs()) - alone);
    for (const viewer of viewers) {
      viewer.close();
      bytes += viewer.bytes / VIEWERS;
    }
  }
  return {
    percent: median(more) / (idleSeconds * 10),
    bytesPerSecond: bytes / (idleSeconds * idleRounds),
  };
}

async function bench(size: BenchSize): Promise<Report> {
  const name = 'What the status page costs';
  if (!hasWrk() || !hasCores()) {
    const conditions = ['not run: it takes wrk, taskset and two cores'];
    return { name, conditions, tables: [], aims: [], notes: [] };
  }
  const { warmUps, rounds, seconds, products, idleSeconds, idleRounds } = SIZES[size];
  // Its own work, the viewers' among it, is not to be in the server's way.
  spawnSync('taskset', ['-a', '-p', '-c', String(CLIENT_CORE), String(process.pid)]);
  return withScratchFolder(async (folder) => {
    const server = await ServerProcess.start('src/main.ts', {
      PORT: '0',
      DATA_DIR: join(folder, 'data'),
    });
    keepOnCore(server.pid, SERVER_CORE);
    const found = await loaded(server, size);
    const { percent, bytesPerSecond } = await atRest(server, size);
    await server.stop();
    const rate = ({ requestsPerSecond }: Load) => requestsPerSecond;
    const cpu = ({ cpuUs }: Load) => cpuUs;
    const ratios = (of: (load: Load) => number) =>
      found.map(({ looked, alone }) => of(looked) / of(alone));
    const spread = (values: readonly number[]) =>
      quartiles(values)
        .map((ratio) => ratio.toFixed(3))
        .join('–');
    const row = (viewers: number, key: keyof Round, rates: string, cpus: string) => [
      String(viewers),
      figure(median(found.map((round) => rate(round[key])))),
      rates,
      figure(median(found.map((round) => cpu(round[key])))),
      cpus,
    ];
    return {
      name,
      conditions: [
        `${rounds} rounds of ${seconds} s with ${VIEWERS} viewers and ${seconds} s without, after ${warmUps} to warm up`,
        `wrk with ${CONNECTIONS} connections and the viewers on core ${CLIENT_CORE}, the server with all its threads on core ${SERVER_CORE}; ${figure(products)} products; data in ${ROOT ?? 'a folder on disk'}`,
        `at rest: ${idleRounds} times ${idleSeconds} s with ${VIEWERS} viewers, and as long without`,
      ],
      tables: [
        {
          title: 'POST, ack=durable',
          columns: [
            'viewers',
            'requests/s',
            'of that without, quartiles',
            'CPU µs per request',
            'of that without, quartiles',
          ],
          rows: [
            row(VIEWERS, 'looked', spread(ratios(rate)), spread(ratios(cpu))),
            row(0, 'alone', '1', '1'),
          ],
        },
        {
          title: `${VIEWERS} pages that are left open, service at rest`,
          columns: ['of a core, %', 'CPU seconds a day', 'MB a day to each'],
          rows: [
            [
              figure(percent),
              figure((percent / 100) * SECONDS_A_DAY),
              figure((bytesPerSecond * SECONDS_A_DAY) / 1e6),
            ],
          ],
        },
      ],
      aims: [
        {
          what: `POST, ack=durable, with ${VIEWERS} viewers of the status page, of that without`,
          measured: median(ratios(rate)),
          wanted: RATIO_WANTED,
          better: 'higher',
          unit: '',
        },
        {
          what: 'CPU for each of them, of that without',
          measured: median(ratios(cpu)),
          wanted: CPU_RATIO_WANTED,
          better: 'lower',
          unit: '',
        },
        {
          what: `${VIEWERS} status pages that are left open, of a core`,
          measured: percent,
          wanted: OPEN_PERCENT_WANTED,
          better: 'lower',
          unit: '%',
        },
      ],
      notes: ['Each viewer got a snapshot a second while the load ran.'],
    };
  }, ROOT);
}

await runBench(bench);
