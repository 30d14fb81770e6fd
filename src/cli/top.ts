/**
 * `top`: looks at a service's metrics again and again and shows what happened in between: a view of the whole
 * terminal, or without one a block of lines each time. A service that is away is waited for. Main thread.
 */
import { setTimeout as pause } from 'node:timers/promises';
import { parseDuration } from '../config/quantity.ts';
import {
  type CommandContext,
  CommandError,
  countOf,
  EXIT_DONE,
  hasFlag,
  quoted,
  textOf,
  UsageError,
} from './command.ts';
import { Sample } from './metrics-text.ts';
import { Refused, ServiceClient, Unreachable } from './service-client.ts';
import { styled } from './terminal.ts';
import { type TopLine, topLines, topText } from './top-view.ts';

const INTERVAL = '1s';
const INTERVAL_MS_MIN = 100;
const ENTER_SCREEN = '\x1b[?1049h\x1b[?25l';
const LEAVE_SCREEN = '\x1b[?25h\x1b[?1049l';
const HOME = '\x1b[H';
const CLEAR_LINE = '\x1b[K';
const CLEAR_BELOW = '\x1b[J';
const CTRL_C = '\x03';

export async function run({ values, environment }: CommandContext): Promise<number> {
  const text = textOf(values, 'interval') ?? INTERVAL;
  const intervalMs = parseDuration(text);
  if (intervalMs === undefined || intervalMs < INTERVAL_MS_MIN) {
    throw new UsageError(`--interval must be a duration from 100ms on, not ${quoted(text)}`);
  }
  const client = ServiceClient.from(values, environment);
  const isJson = hasFlag(values, 'json');
  const isScreen = !isJson && process.stdout.isTTY === true && process.env.TERM !== 'dumb';
  const view = isScreen ? new Screen() : new Blocks(isJson);
  try {
    await watch(client, view, { intervalMs, count: countOf(values, 'count') });
  } finally {
    view.end();
    client.close();
  }
  return EXIT_DONE;
}

interface Watching {
  readonly intervalMs: number;
  /** How many times it is shown; `undefined` = until it is ended. */
  readonly count: number | undefined;
}

interface View {
  readonly isEnded: boolean;
  readonly show: (head: string, lines: readonly TopLine[]) => void;
  readonly note: (text: string) => void;
  readonly end: () => void;
}

async function watch(client: ServiceClient, view: View, { intervalMs, count }: Watching) {
  let before: Sample | undefined;
  for (let shown = 0; !view.isEnded && (count === undefined || shown < count); ) {
    const now = await look(client, before !== undefined, view);
    if (now !== undefined && before !== undefined) {
      view.show(headOf(client.url, now), topLines(before, now));
      shown++;
    }
    before = now ?? before;
    if (count === undefined || shown < count) await pause(intervalMs);
  }
}

/** A sample; `undefined` = not now. The first one must be had. */
async function look(client: ServiceClient, mayFail: boolean, view: View) {
  try {
    const { text } = await client.ask({ path: '/metrics', accept: 'text/plain' });
    return new Sample(text, performance.now());
  } catch (error) {
    const isPassing =
      error instanceof Unreachable || (error instanceof Refused && error.status >= 500);
    if (mayFail && isPassing) {
      view.note(error.message);
      return undefined;
    }
    if (error instanceof Refused && error.status === 404) {
      throw new CommandError(
        `${client.url.origin} has no metrics: METRICS is false there, or they are on ADMIN_PORT`,
      );
    }
    throw error;
  }
}

function headOf(url: URL, now: Sample): string {
  const startedAt = now.sum('process_start_time_seconds');
  const seconds = startedAt === undefined ? Number.NaN : Date.now() / 1000 - startedAt;
  const up = Number.isNaN(seconds) ? '' : `  up ${uptime(seconds)}`;
  return `product-service at ${url.origin}${up}`;
}

function uptime(seconds: number): string {
  const whole = Math.max(0, Math.floor(seconds));
  const [d, h, m] = [
    Math.floor(whole / 86_400),
    Math.floor(whole / 3600) % 24,
    Math.floor(whole / 60) % 60,
  ];
  const clock = [h, m, whole % 60].map((part) => String(part).padStart(2, '0')).join(':');
  return d === 0 ? clock : `${d} d ${clock}`;
}

/** The whole terminal; ended by q, Ctrl-C or a signal, which leave it as it was. */
class Screen implements View {
  isEnded = false;
  #note = '';

  constructor() {
    process.stdout.write(ENTER_SCREEN);
    process.once('exit', () => process.stdout.write(this.isEnded ? '' : LEAVE_SCREEN));
    for (const signal of ['SIGINT', 'SIGTERM'] as const) process.once(signal, () => this.#quit());
    if (!process.stdin.isTTY) return;
    process.stdin.setRawMode(true).setEncoding('utf8');
    process.stdin.on('data', (keys) => {
      if (/q/i.test(String(keys)) || String(keys).includes(CTRL_C)) this.#quit();
    });
  }

  readonly show = (head: string, lines: readonly TopLine[]): void => {
    const bold = (text: string) => styled('bold', text, process.stdout);
    const rows = [bold(head), '', ...topText(lines, bold), '', `${this.#note}  q quits`.trim()];
    const text = rows.map((row) => `${row}${CLEAR_LINE}\n`).join('');
    process.stdout.write(`${HOME}${text}${CLEAR_BELOW}`);
    this.#note = '';
  };

  readonly note = (text: string): void => {
    this.#note = text;
    process.stdout.write(`${HOME}${styled('red', text, process.stdout)}${CLEAR_LINE}\n`);
  };

  readonly end = (): void => {
    if (this.isEnded) return;
    this.isEnded = true;
    process.stdout.write(LEAVE_SCREEN);
    if (process.stdin.isTTY) process.stdin.setRawMode(false).pause();
  };

  #quit(): void {
    this.end();
    process.exit(EXIT_DONE);
  }
}

/** Lines, one block behind the other. */
class Blocks implements View {
  readonly isEnded = false;
  readonly #isJson: boolean;

  constructor(isJson: boolean) {
    this.#isJson = isJson;
  }

  readonly show = (head: string, lines: readonly TopLine[]): void => {
    if (this.#isJson) {
      const figures = Object.fromEntries(lines.map((line) => [line.title, line.figures]));
      process.stdout.write(`${JSON.stringify({ at: new Date().toISOString(), ...figures })}\n`);
    } else process.stdout.write(`${[head, ...topText(lines, (text) => text), ''].join('\n')}\n`);
  };

  readonly note = (text: string): void => {
    process.stderr.write(`product-service: ${text}\n`);
  };

  readonly end = (): void => undefined;
}
