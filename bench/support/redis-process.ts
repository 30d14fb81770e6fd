/**
 * A redis-server of the bench's own: on a free loopback port, with a folder of its own, ended by its
 * process. Speaks as much of its protocol as the benches need. Main thread of the bench.
 */
import { type ChildProcess, spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { type AddressInfo, connect, createServer, type Socket } from 'node:net';

const LOOPBACK = '127.0.0.1';
const START_MS_MAX = 120_000;
const POLL_MS = 2;
/** Commands sent before their replies are waited for. */
const PIPELINE = 10_000;

/** What `redis-server --version` says, or `undefined` where it is not installed. */
export function redisVersion(): string | undefined {
  const { status, stdout } = spawnSync('redis-server', ['--version'], { encoding: 'utf8' });
  return status === 0 ? /v=([\d.]+)/.exec(stdout)?.[1] : undefined;
}

export class RedisProcess {
  readonly port: number;
  readonly #child: ChildProcess;
  readonly #socket: Socket;
  readonly #exit: Promise<unknown>;

  private constructor(port: number, child: ChildProcess, socket: Socket, exit: Promise<unknown>) {
    this.port = port;
    this.#child = child;
    this.#socket = socket;
    this.#exit = exit;
  }

  /**
   * Starts it on the append-only file in `folder`, or with an empty one, and resolves when that is
   * loaded. The file is rewritten on demand only, and flushed each second or before every reply.
   */
  static async start(
    folder: string,
    fsync: 'everysec' | 'always' = 'everysec',
  ): Promise<RedisProcess> {
    const port = await freePort();
    const options: Record<string, string> = {
      port: String(port),
      bind: LOOPBACK,
      dir: folder,
      save: '',
      appendonly: 'yes',
      appendfsync: fsync,
      'auto-aof-rewrite-percentage': '0',
    };
    const args = Object.entries(options).flatMap(([name, value]) => [`--${name}`, value]);
    const child = spawn('redis-server', args, { stdio: 'ignore' });
    const kill = () => void child.kill('SIGKILL');
    process.once('exit', kill);
    const exit = once(child, 'exit').then(() => process.off('exit', kill));
    try {
      const redis = new RedisProcess(port, child, await connected(port, child), exit);
      await redis.#loaded();
      return redis;
    } catch (error) {
      kill();
      throw error;
    }
  }

  /** Sends one command; resolves to its reply: a simple or bulk string, or a number, as text. */
  async command(...words: readonly string[]): Promise<string> {
    this.#socket.write(packCommand(words));
    let reply = '';
    for (;;) {
      const [chunk] = await once(this.#socket, 'data');
      reply += chunk;
      const whole = unpackReply(reply);
      if (whole !== undefined) return whole;
    }
  }

  /** Sends `count` commands, pipelined, that are each answered with a number. */
  async pipeline(count: number, next: () => readonly string[]): Promise<void> {
    for (let sent = 0; sent < count; sent += PIPELINE) {
      const batch = Math.min(PIPELINE, count - sent);
      let text = '';
      for (let i = 0; i < batch; i++) text += packCommand(next());
      this.#socket.write(text);
      let replies = 0;
      while (replies < batch) {
        const [chunk] = (await once(this.#socket, 'data')) as [string];
        if (chunk.includes('-')) throw new Error(`redis answered ${chunk}`);
        replies += chunk.split('\n').length - 1;
      }
    }
  }

  /** One field of INFO. */
  async info(field: string): Promise<string | undefined> {
    return new RegExp(`^${field}:(.*)\r$`, 'm').exec(await this.command('INFO'))?.[1];
  }

  /** Rewrites the append-only file; resolves when that is done. */
  async rewrite(): Promise<void> {
    await this.command('BGREWRITEAOF');
    while ((await this.info('aof_rewrite_in_progress')) !== '0') await afterMs(50);
    const status = await this.info('aof_last_bgrewrite_status');
    if (status !== 'ok') throw new Error(`redis: the rewrite ended with ${status}`);
  }

  /** Ends it as its service manager would: what was written is in its file. */
  async stop(): Promise<void> {
    this.#socket.destroy();
    this.#child.kill('SIGTERM');
    await this.#exit;
    if (this.#child.exitCode !== 0) throw new Error(`redis ended with ${this.#child.exitCode}`);
  }

  async #loaded(): Promise<void> {
    // While it loads, it answers this with an error at once, which costs it next to nothing.
    while ((await this.command('PING')) !== 'PONG') await afterMs(POLL_MS);
    const loading = await this.info('loading');
    if (loading !== '0') throw new Error(`redis answers, but says loading:${loading}`);
  }
}

async function freePort(): Promise<number> {
  const server = createServer().listen(0, LOOPBACK);
  await once(server, 'listening');
  const { port } = server.address() as AddressInfo;
  server.close();
  await once(server, 'close');
  return port;
}

async function connected(port: number, child: ChildProcess): Promise<Socket> {
  const deadlineMs = performance.now() + START_MS_MAX;
  while (performance.now() < deadlineMs && child.exitCode === null) {
    const socket = connect(port, LOOPBACK);
    try {
      await once(socket, 'connect');
      return socket.setNoDelay().setEncoding('latin1');
    } catch {
      await afterMs(POLL_MS);
    }
  }
  throw new Error('redis-server did not start');
}

function packCommand(words: readonly string[]): string {
  let text = `*${words.length}\r\n`;
  for (const word of words) text += `$${Buffer.byteLength(word)}\r\n${word}\r\n`;
  return text;
}

/** The reply in `text`, errors included, or `undefined` while it is not whole. */
function unpackReply(text: string): string | undefined {
  const end = text.indexOf('\r\n');
  if (end === -1) return undefined;
  const line = text.slice(1, end);
  if (text[0] !== '$') return line;
  const bytes = Number(line);
  if (bytes === -1) return '';
  const from = end + 2;
  return text.length < from + bytes + 2 ? undefined : text.slice(from, from + bytes);
}

function afterMs(ms: number): Promise<void> {
  return new Promise((resolve) => {
    setTimeout(resolve, ms);
  });
}
