/**
 * Sends the log thread's messages to the stream, and hands it the stream's, in unbroken order. A thread of its
 * own, because all of this waits.
 *
 *   tail    what the stream stores it sends on at once, with its position; not all of it need come through
 *   gets    what is missing between the last one handed on and the newest known: asked for by position (of the leader,
 *           unless there is much), some at a time; and when nothing came for a while, the next one, in case the last was lost
 *   check   whether it is the stream that this instance has followed: the leader's message at the last
 *           position must be the same one (its header's CRC). And whether the cluster has gone on as another
 *           generation: what was sealed for that may have been restored as it was. On each connection, each wish of
 *           the log thread, and every few seconds
 * (Over 300 lines: the three of them share one position.) Two connections: a tail that is slow is cut by the server, and must not take the sender along.
 */
import type { Msg, NatsConnection } from '@nats-io/transport-node';
import { createInbox, errors } from '@nats-io/transport-node';
import type { NatsSettings } from '../config/nats.ts';
import { BellWatch } from '../ring/bell.ts';
import type { namesOf } from './cluster-settings.ts';
import { newestGeneration } from './generations.ts';
import { askInstances, giversOf, type InstanceState, type OwnState } from './instance-state.ts';
import type { JoinAnswer } from './join-protocol.ts';
import { headerCrc } from './message.ts';
import { natsFault, openNats, subscriber } from './nats-connection.ts';
import { StreamApi } from './stream-api.ts';
import type { StreamEnd } from './stream-memory.ts';
import type { StreamHealth } from './stream-port.ts';
import { StreamTrimmer } from './stream-trimmer.ts';

const POLL_MS = 250;
const CHECK_MS = 5000;
const CONNECT_PAUSE_MS = 500;
/** A ring without room is tried again after so long. */
const FULL_MS = 2;
const GETS_MAX = 32;
const HELD_MAX = 256;
const HELD_BYTES_MAX = 16 << 20;
/** How often another stream must be found before it is believed: a new leader may be behind for a moment. */
const FORK_CHECKS = 10;
const FORK_PAUSE_MS = 1000;
/** So long a refused publish is remembered. */
const REFUSED_MS = 3000;
/** So long a check waits to hear of generations: who knows of them may be about to be elected. */
const GENERATIONS_MS = 250;
/**
 * So many of the newest messages are asked of the leader, which has also sent the tail; any server has the others, faster.
 * Copies that are behind, or were killed and came back with others of the last messages, are no help here.
 */
const LEADERS = 2048;
/** A gap that nobody fills for so long is a fault. */
const GAP_MS = 5000;

const LEFT_BEHIND = 'the cluster goes on as another generation';

export interface StreamClientOptions {
  readonly nats: NatsSettings;
  readonly names: ReturnType<typeof namesOf>;
  /** What NATS shows of this client. */
  readonly name: string;
  readonly end: StreamEnd;
  /** Whether nothing is ever sent. */
  readonly isReader: boolean;
  /** What others call this instance by. */
  readonly id: string;
  /** Another instance wants to take over the data of this one; it waits for the offer at `reply`, where `say` answers it. */
  readonly onJoin: (reply: string, say: (answer: JoinAnswer) => void) => void;
  /** What the instance says of itself. */
  readonly describe: () => OwnState;
}

export class StreamClient {
  readonly #options: StreamClientOptions;
  readonly #bell: BellWatch;
  #out: NatsConnection | undefined;
  #tail: NatsConnection | undefined;
  #api: StreamApi | undefined;
  #connected = { out: false, tail: false };
  #fault = 'NATS was not reached yet';
  /** Of the last wish; 0 = none yet: the log thread reads its own files first. */
  #epoch = 0;
  /** Position of the next message to hand on. */
  #next = 1;
  /** Of the header of the one before; 0 = any. */
  #crc = 0;
  #newestKnown = 0;
  readonly #held = new Map<number, Uint8Array>();
  #heldBytes = 0;
  readonly #asking = new Set<number>();
  #isChecked = false;
  #checking: Promise<void> | undefined;
  #forkChecks = 0;
  #forked: string | undefined;
  #overtaken: string | undefined;
  #isSealed = false;
  /** There is a newer generation: nothing of this stream counts any more. */
  #isLeftBehind = false;
  #checkedMs = 0;
  #movedMs = performance.now();
  #refused: { readonly reason: string; readonly atMs: number } | undefined;
  #reported = '';
  #inbox = '';
  #isWaiting = false;

  constructor(options: StreamClientOptions) {
    this.#options = options;
    const { words, bell } = options.end;
    this.#bell = new BellWatch(words, bell, () => this.#onBell());
  }

  get #newest(): number {
    return this.#newestKnown;
  }

  set #newest(position: number) {
    this.#newestKnown = position;
    this.#options.end.newest = position;
  }

  /** Runs from here on; the thread is ended from outside. */
  start(): void {
    const { names, isReader, id } = this.#options;
    if (isReader) this.#connected.out = true;
    else {
      void this.#connect('publish').then((connection) => {
        this.#out = connection;
        this.#inbox = createInbox();
        connection.subscribe(this.#inbox, {
          callback: subscriber((message) => this.#onAck(message)),
        });
        void this.#watch(connection, 'out');
      });
    }
    void this.#connect('tail').then((connection) => {
      this.#tail = connection;
      this.#api = new StreamApi(connection, names.stream);
      if (!isReader) new StreamTrimmer(connection, this.#api, names.who, id).start();
      connection.subscribe(names.who, { callback: subscriber((message) => this.#onWho(message)) });
      connection.subscribe(`${names.join}.${id}`, {
        callback: subscriber((message) => this.#onJoin(message)),
      });
      connection.subscribe(names.tail, {
        callback: subscriber((message) => this.#onTail(message)),
      });
      void this.#watch(connection, 'tail');
    });
    setInterval(() => this.#onTick(), POLL_MS);
    this.#onBell();
  }

  /** Tries until it is connected: the client itself would, but does not say what is in the way. */
  async #connect(purpose: string): Promise<NatsConnection> {
    const { nats, name } = this.#options;
    for (;;) {
      try {
        return await openNats(nats, `${name} ${purpose}`, true);
      } catch (error) {
        this.#fault = natsFault(error);
        this.#report();
        await new Promise((resolve) => setTimeout(resolve, CONNECT_PAUSE_MS));
      }
    }
  }

  async #watch(connection: NatsConnection, which: 'out' | 'tail'): Promise<void> {
    const set = (isConnected: boolean, fault: string) => {
      this.#connected[which] = isConnected;
      this.#fault = fault;
      if (isConnected && which === 'tail') this.#recheck();
      this.#report();
    };
    set(true, '');
    for await (const status of connection.status()) {
      if (status.type === 'disconnect') set(false, 'NATS cannot be reached');
      else if (status.type === 'reconnect') set(true, '');
      else if (status.type === 'error') this.#onError(status.error);
    }
    set(false, 'the connection to NATS was closed');
  }

  /** What the server holds against this client. */
  #onError(error: Error): void {
    if (error instanceof errors.PermissionViolationError) this.#refuse(error.message);
    else this.#fault = natsFault(error);
    this.#report();
  }

  #onBell(): void {
    const { end, names } = this.#options;
    do {
      const wish = end.wish;
      if (wish.epoch !== this.#epoch) {
        this.#epoch = wish.epoch;
        this.#next = wish.position + 1;
        this.#crc = wish.crc;
        this.#overtaken = undefined;
        this.#held.clear();
        this.#heldBytes = 0;
        this.#recheck();
      }
      for (let bytes = end.toSend(); bytes !== undefined; bytes = end.toSend()) {
        // What is lost here the log thread sends again.
        if (this.#connected.out) this.#out?.publish(names.log, bytes, { reply: this.#inbox });
      }
      this.#pump();
    } while (this.#bell.watch(() => end.hasNews(this.#epoch)));
  }

  #onTick(): void {
    const now = performance.now();
    if (this.#refused !== undefined && now - this.#refused.atMs > REFUSED_MS) {
      this.#refused = undefined;
    }
    if (this.#forked !== undefined) this.#lookAfterFork(now);
    else if (!this.#isChecked || now - this.#checkedMs > CHECK_MS) this.#check();
    else if (now - this.#movedMs >= POLL_MS) this.#ask(this.#next);
    this.#pump();
    this.#report();
  }

  #onTail(message: Msg): void {
    const position = Number(message.headers?.get('Nats-Sequence'));
    if (!Number.isSafeInteger(position) || position < this.#next) return;
    this.#newest = Math.max(this.#newest, position);
    this.#hold(position, message.data);
    this.#pump();
  }

  /** Somebody asks for this instance's state. */
  #onWho(message: Msg): void {
    const health = this.#health();
    const reason = health.type === 'up' ? {} : { reason: health.reason };
    const state: InstanceState = { ...this.#options.describe(), stream: health.type, ...reason };
    message.respond(JSON.stringify(state));
  }

  #onJoin(message: Msg): void {
    const { reply } = message;
    if (!reply) return;
    this.#options.onJoin(reply, (answer) => void message.respond(JSON.stringify(answer)));
  }

  /** The stream's answer to a publish: only of interest where it says why it can't. */
  #onAck(message: Msg): void {
    const text = message.data.length > 0 ? message.string() : '';
    const code = message.headers?.code ?? 0;
    if (code === 503) this.#refuse('no server leads the stream');
    else if (!text.includes('"error"')) this.#refused = undefined;
    else {
      const { error } = JSON.parse(text) as { error?: { description?: string } };
      this.#refuse(error?.description ?? text);
    }
    this.#report();
  }

  #refuse(reason: string): void {
    this.#refused = { reason: `the stream refuses: ${reason}`, atMs: performance.now() };
  }

  #hold(position: number, bytes: Uint8Array): void {
    if (position < this.#next || position >= this.#next + HELD_MAX) return;
    if (this.#held.has(position) || this.#heldBytes > HELD_BYTES_MAX) {
      // The very next one always has room.
      if (position !== this.#next || this.#held.has(position)) return;
    }
    this.#held.set(position, bytes);
    this.#heldBytes += bytes.length;
  }

  /** Hands on what is there, and asks for what is missing. */
  #pump(): void {
    if (!this.#isChecked || this.#forked !== undefined || this.#isLeftBehind) return;
    const { end } = this.#options;
    let handed = 0;
    for (;;) {
      const bytes = this.#held.get(this.#next);
      if (bytes === undefined) break;
      if (!end.deliver(bytes, this.#next, this.#epoch)) {
        this.#waitForRoom();
        break;
      }
      this.#held.delete(this.#next);
      this.#heldBytes -= bytes.length;
      this.#crc = headerCrc(bytes);
      this.#next++;
      handed++;
    }
    if (handed > 0) {
      this.#movedMs = performance.now();
      end.wakeLog();
    }
    const last = Math.min(this.#newest, this.#next + GETS_MAX - 1);
    for (let p = this.#next; p <= last && this.#heldBytes <= HELD_BYTES_MAX; p++) {
      if (!this.#held.has(p)) this.#ask(p);
    }
  }

  #waitForRoom(): void {
    if (this.#isWaiting) return;
    this.#isWaiting = true;
    setTimeout(() => {
      this.#isWaiting = false;
      this.#pump();
    }, FULL_MS);
  }

  #ask(position: number): void {
    const api = this.#api;
    if (api === undefined || !this.#connected.tail || this.#asking.has(position)) return;
    this.#asking.add(position);
    const isNear = this.#newest - position < LEADERS;
    void (isNear ? api.leaders(position) : api.direct(position))
      .then(
        (bytes) => {
          if (bytes === undefined) return;
          this.#newest = Math.max(this.#newest, position);
          this.#hold(position, bytes);
        },
        () => undefined,
      )
      .then(() => {
        this.#asking.delete(position);
        // Not at once for one that is not there: the tick asks again.
        if (this.#held.size > 0) this.#pump();
      });
  }

  #recheck(): void {
    this.#isChecked = false;
    this.#forkChecks = 0;
    this.#check();
  }

  #check(): void {
    if (this.#checking !== undefined || this.#forked !== undefined || !this.#connected.tail) return;
    this.#checking = this.#compare()
      .catch((error: unknown) => {
        this.#isChecked = false;
        this.#fault = `the stream does not answer: ${error instanceof Error ? error.message : error}`;
      })
      .finally(() => {
        this.#checking = undefined;
        this.#pump();
        this.#report();
      });
  }

  async #compare(): Promise<void> {
    const api = this.#api;
    if (api === undefined || this.#epoch === 0) return;
    const epoch = this.#epoch;
    const position = this.#next - 1;
    const crc = this.#crc;
    const generations = this.#lookForNewer();
    const { state, config } = await api.info();
    const { first_seq: first, last_seq: last } = state;
    this.#isSealed = config.sealed === true;
    const found = position > 0 && position >= first ? await this.#crcAt(api, position) : crc;
    await generations;
    if (epoch !== this.#epoch) return;
    const now = performance.now();
    this.#checkedMs = now;
    if (position + 1 < first) {
      await this.#overtakenAt(first, position);
      return;
    }
    const fork =
      position > last
        ? `the stream ends at ${last}, and this instance has read up to ${position}`
        : crc !== 0 && found !== crc
          ? `the stream has another message at ${position} than this instance has read`
          : undefined;
    if (fork === undefined) {
      this.#forkChecks = 0;
      this.#isChecked = true;
      this.#fault = '';
      this.#newest = Math.max(this.#newest, last);
      return;
    }
    this.#isChecked = false;
    this.#fault = fork;
    this.#checkedMs = now - CHECK_MS + FORK_PAUSE_MS;
    if (++this.#forkChecks >= FORK_CHECKS) this.#forked = fork;
  }

  /** What has become of the cluster is of interest to whoever finds the instance. */
  #lookAfterFork(now: number): void {
    if (this.#isLeftBehind || now - this.#checkedMs <= CHECK_MS) return;
    this.#checkedMs = now;
    void this.#lookForNewer().then(() => this.#report());
  }

  /** Resolves soon; an answer that is later counts, too. */
  async #lookForNewer(): Promise<void> {
    const { cluster, generation } = this.#options.names;
    const connection = this.#tail;
    if (connection === undefined) return;
    const asked = newestGeneration(connection, cluster).then(
      (newest) => {
        if (newest > generation) this.#isLeftBehind = true;
      },
      // Nobody leads the servers just now: the next check asks again.
      () => undefined,
    );
    await Promise.race([asked, new Promise((resolve) => setTimeout(resolve, GENERATIONS_MS))]);
  }

  /** The stream has gone on without this instance: somebody has to be there whose data it can take over. */
  async #overtakenAt(first: number, position: number): Promise<void> {
    const reason = `the stream begins at ${first}, and this instance has read up to ${position}`;
    this.#isChecked = false;
    this.#fault = `${reason}: it waits for another instance to join anew from`;
    this.#checkedMs = performance.now() - CHECK_MS + FORK_PAUSE_MS;
    const tail = this.#tail;
    if (tail === undefined) return;
    const others = await askInstances(tail, this.#options.names.who);
    if (giversOf(others, first).length > 0) this.#overtaken = reason;
  }

  async #crcAt(api: StreamApi, position: number): Promise<number> {
    const bytes = await api.leaders(position);
    return bytes === undefined ? -1 : headerCrc(bytes);
  }

  #report(): void {
    const health = this.#health();
    const text = JSON.stringify(health);
    if (text === this.#reported) return;
    this.#reported = text;
    this.#options.end.health = health;
  }

  #health(): StreamHealth {
    if (this.#forked !== undefined) {
      const reason = this.#isLeftBehind ? `${this.#forked}; ${LEFT_BEHIND}` : this.#forked;
      return { type: 'forked', reason };
    }
    if (this.#overtaken !== undefined) return { type: 'overtaken', reason: this.#overtaken };
    const down = (reason: string): StreamHealth => ({ type: 'down', reason });
    if (this.#isLeftBehind) return down(LEFT_BEHIND);
    if (!this.#connected.out || !this.#connected.tail || !this.#isChecked) {
      return down(this.#fault || 'the stream was not looked at yet');
    }
    if (this.#newest >= this.#next && performance.now() - this.#movedMs > GAP_MS) {
      return down(`message ${this.#next} of the stream is missing`);
    }
    if (this.#isSealed) return { type: 'refusing', reason: LEFT_BEHIND };
    if (this.#refused !== undefined) return { type: 'refusing', reason: this.#refused.reason };
    return { type: 'up' };
  }
}
