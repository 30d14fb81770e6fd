/**
 * A history in PostgreSQL while service, server and the way between them are killed, stopped and cut under load; and
 * while it is off for longer than the log is kept. After each harm every history is what was said, but for what came
 * in a gap, and says from when on it is whole. `ROUNDS=30` for many; the first three harms in the gate.
 *
 *   lanes ──HTTP──▶ service ──▶ link ──▶ PostgreSQL
 *
 * What may happen, and what then:
 *  1. The service is killed anywhere: it goes on from the place that was committed with the events.
 *  2. The server is killed in a transaction, or stands still for longer than CONNECTION_TIMEOUT: nothing of it is
 *     there, or, where it had the COMMIT already, all of it, also when it comes to that later. What the writer knew
 *     is read anew; an old session keeps its lock until it is over.
 *  3. The answer to a COMMIT is lost: the writer does not know; the place tells it.
 *  4. The history is off, and the log goes: a gap. What came meanwhile is lost but for the present state.
 */
import { readdirSync } from 'node:fs';
import { join } from 'node:path';
import t, { type Test } from 'tap';
import { parseSegmentName } from '../../src/log/format.ts';
import { polled } from '../helpers/bounded.ts';
import { ApiClient } from '../helpers/clients/api-client.ts';
import { tempDir } from '../helpers/disks/temp-dir.ts';
import { Random, testSeed } from '../helpers/models/random.ts';
import { ServiceProcess } from '../helpers/processes/service-process.ts';
import { type PostgresServer, startPostgres } from '../helpers/servers/postgres-server.ts';
import { ServerLink } from '../helpers/servers/server-link.ts';
import { changesOf, markAt } from '../history/history-model.ts';
import { Lane, type Told } from '../history/lane.ts';

const ROUNDS = Number(process.env.ROUNDS ?? 3);
const LANES = 8;
/** Until the harm comes, and in a round; the rest of the harm is without load. */
const EVENTS_BEFORE_MAX = 300;
const EVENTS_MAX = 600;
/** More than a segment. */
const FILLING = 10_000;
/** Until the log is looked at again: the checkpoint thread removes what it can once a second. */
const REMOVED_MS = 300;
const WAIT_MS_MAX = 120_000;
/** Longer than CONNECTION_TIMEOUT. */
const STILL_MS = 1000;
const DEAF_MS = 100;
/** Before the history is asked again that can't answer. */
const LOOK_MS = 50;
const TIMEOUT_MS = 3_600_000;

const ENV = {
  HISTORY: 'forever',
  HISTORY_IN: 'postgres',
  MAX_MEMORY_USAGE: '16MB',
  WORKERS: '2',
  SHARDS: '4',
  SEGMENT_SIZE: '1MB',
  CHECKPOINT_EVERY: '1MB',
  LOG_RETENTION: '0B',
  CONNECTION_TIMEOUT: '700ms',
  INITIAL_RETRY_DELAY: '5ms',
  MAX_RETRY_DELAY: '50ms',
  CIRCUIT_BREAKER_TIMEOUT: '100ms',
};

/** Events that the history has lost: those behind `from`, up to `to`. */
interface Gap {
  readonly from: number;
  readonly to: number;
}

class World {
  readonly #t: Test;
  readonly #cwd: string;
  readonly #server: PostgresServer;
  readonly #link: ServerLink;
  readonly #random: Random;
  readonly lanes: readonly Lane[];
  readonly gaps: Gap[] = [];
  /** How often the log went. */
  losses = 0;
  #service: ServiceProcess | undefined;
  #port = 0;

  private constructor(t: Test, server: PostgresServer, link: ServerLink, random: Random) {
    this.#t = t;
    this.#cwd = tempDir(t);
    this.#server = server;
    this.#link = link;
    this.#random = random;
    this.lanes = Array.from({ length: LANES }, (_, index) => new Lane(index, random.seed));
  }

  static async start(t: Test, random: Random): Promise<World> {
    const server = await startPostgres(t);
    const link = await ServerLink.start(t, server.url);
    const world = new World(t, server, link, random);
    await world.startService();
    return world;
  }

  async startService(env: Readonly<Record<string, string>> = {}): Promise<void> {
    const SINKS = `${this.#link.url}?schema=feed`;
    this.#service = ServiceProcess.spawn(this.#t, {
      cwd: this.#cwd,
      env: { ...ENV, SINKS, ...env },
    });
    this.#port = await this.#service.ready();
  }

  /** Lets the lanes send while `harm` comes, somewhere; nobody knows where, and that is the point. */
  async under(harm: () => Promise<void>): Promise<void> {
    const strikeAt = 1 + this.#random.below(EVENTS_BEFORE_MAX);
    let acknowledged = 0;
    let isOver = false;
    const struck = Promise.withResolvers<void>();
    const running = this.lanes.map((lane) =>
      lane.run(this.#port, () => {
        acknowledged++;
        if (acknowledged === strikeAt) struck.resolve();
        return !isOver && acknowledged < EVENTS_MAX;
      }),
    );
    await struck.promise;
    await harm();
    isOver = true;
    await Promise.all(running);
    await this.settle();
  }

  /** Each lane's open event is acknowledged; sends one where none is. */
  async settle(): Promise<void> {
    await Promise.all(this.lanes.map((lane) => lane.run(this.#port, () => false)));
  }

  readonly harms: Readonly<Record<string, () => Promise<void>>> = {
    'answers lost, then cut': () =>
      this.under(async () => {
        this.#link.loseAnswers();
        await pause(this.#random.below(DEAF_MS));
        this.#link.cut();
        await pause(this.#random.below(DEAF_MS));
        this.#link.heal();
      }),
    'server killed': () =>
      this.under(async () => {
        await this.#server.process.kill();
        await this.#server.process.start();
      }),
    'off, and the log goes': () => this.#gap(),
    'service killed': () =>
      this.under(async () => {
        await this.#service?.crash();
        await this.startService();
      }),
    'server stands still': () =>
      this.under(async () => {
        this.#server.process.pause();
        await pause(STILL_MS);
        this.#server.process.goOn();
      }),
  };

  async #gap(): Promise<void> {
    // Not waited for: what is committed by now is what it knows.
    await this.under(async () => undefined);
    await this.#service?.crash();
    await this.#sessionsOver();
    const { rows } = await this.#server.query('SELECT seq FROM feed.product_service_history_place');
    const from = Number(rows[0].seq);
    await this.startService({ HISTORY: 'off', HISTORY_IN: 'file' });
    await this.under(() => this.#loseLog(from));
    await this.#service?.stop();
    await this.startService();
    const to = await this.#end();
    await this.#caughtUp(to);
    await this.#service?.logged('there is a gap');
    this.gaps.push({ from, to });
  }

  /** Until the server has come to the end of what it was told by the service that is gone. */
  async #sessionsOver(): Promise<void> {
    const ask = async () => {
      const { rows } = await this.#server.query(
        "SELECT FROM pg_stat_activity WHERE application_name = 'product-service'",
      );
      return rows.length === 0 || undefined;
    };
    await polled(ask, WAIT_MS_MAX, 'the sessions of the service to be over');
  }

  /** Sends other events until the log begins behind `seq`. */
  async #loseLog(seq: number): Promise<void> {
    const client = new ApiClient(this.#port);
    const lines = Array.from(
      { length: FILLING },
      (_, n) => `{"product_id":"filling","price":1,"stock":${n}}\n`,
    );
    const body = lines.join('');
    const headers = { 'content-type': 'application/x-ndjson' };
    const log = join(this.#cwd, 'data', 'log');
    const lose = async () => {
      await client.send('POST', '/api/v1/events/batch', body, headers);
      await pause(REMOVED_MS);
      const firsts = readdirSync(log).map(parseSegmentName);
      return Math.min(...firsts.filter((first) => first !== undefined)) > seq + 1
        ? true
        : undefined;
    };
    await polled(lose, WAIT_MS_MAX, `the log up to seq ${seq} to be gone`);
    client.close();
    this.losses++;
  }

  /** The last event of all. */
  async #end(): Promise<number> {
    const client = new ApiClient(this.#port);
    await client.allApplied();
    const { text } = await client.get('/api/v1/changes?limit=1');
    client.close();
    return JSON.parse(text).next_since;
  }

  #caughtUp(seq: number): Promise<true> {
    const client = new ApiClient(this.#port);
    const path = `/api/v1/products/${this.lanes[0].id}/history?limit=1&min_seq=${seq}&wait=30s`;
    return polled(
      async () => {
        const { status } = await client.get(path);
        if (status === 200) return true as const;
        await pause(LOOK_MS);
        return undefined;
      },
      WAIT_MS_MAX,
      `the history to have ${seq}`,
    ).finally(() => client.close());
  }

  async compare(t: Test, round: string): Promise<void> {
    await this.#caughtUp(await this.#end());
    const client = new ApiClient(this.#port);
    for (const { id, told } of this.lanes) {
      // CONNECTION_TIMEOUT is short, and a machine may stand still.
      const ask = async () => {
        const answer = await client.get(`/api/v1/products/${id}/history?limit=10000`);
        return answer.status === 200 ? answer.text : undefined;
      };
      const text = await polled(ask, WAIT_MS_MAX, `the history of ${id}`);
      const { entries, whole_from } = JSON.parse(text) as {
        entries: { at: string; value: number }[];
        whole_from: string | null;
      };
      const { marks, wholeFromMs } = this.#expected(told);
      const found = entries.map(({ at, value }) => [Date.parse(at), value]);
      const wanted = changesOf(marks).map(({ atMs, value }) => [atMs, value]);
      t.strictSame(found, wanted, `${round}: ${id}, ${told.length} events`);
      t.equal(
        whole_from === null ? undefined : Date.parse(whole_from),
        wholeFromMs,
        `${round}: ${id}, whole from`,
      );
    }
    client.close();
  }

  /** What the history can know, and since when it knows all: gap.ts, of a product that is never forgotten. */
  #expected(told: readonly Told[]) {
    const all = told.map(({ atMs, price, seq }) => ({ atMs, seq, value: price }));
    const presents = this.gaps.map(({ to }) =>
      markAt(
        all.filter(({ seq }) => seq <= to),
        Number.POSITIVE_INFINITY,
      ),
    );
    const known = all.filter(
      ({ seq }) => !this.gaps.some(({ from, to }) => from < seq && seq <= to),
    );
    return {
      marks: [...known, ...presents.filter((mark) => mark !== undefined)],
      wholeFromMs: presents.at(-1)?.atMs,
    };
  }
}

function pause(ms: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, ms));
}

const seed = testSeed();

t.test(`PostgreSQL under fire (seed ${seed})`, { timeout: TIMEOUT_MS }, async (t) => {
  const world = await World.start(t, new Random(seed));
  const harms = Object.entries(world.harms);
  for (let round = 0; round < ROUNDS; round++) {
    const [name, harm] = harms[round % harms.length];
    await harm();
    await world.compare(t, `round ${round}, ${name}`);
  }
  t.equal(world.gaps.length, world.losses, 'each time that the log went');
  t.comment(`${world.lanes.reduce((sum, { told }) => sum + told.length, 0)} events`);
});
