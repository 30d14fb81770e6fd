/**
 * Where the log of the process goes: standard output, and standard error for what must not be missed.
 * pino's destination. Main thread. Lines are JSON; in a terminal they are made readable. Secrets are
 * taken out of each (scrub.ts).
 *
 * A fatal line that standard output doesn't take at once goes to standard error as well, so that it
 * comes out where it can; it is kept for standard output too, and may be read twice.
 */
import { isatty } from 'node:tty';
import { type Level, type Logger, pino } from 'pino';
import { LineWriter } from './line-writer.ts';
import { prettyLine } from './pretty-line.ts';
import { Scrubber } from './scrub.ts';
import { isSameStream, openStandardStream } from './standard-stream.ts';

const METADATA: unique symbol = Symbol.for('pino.metadata');
const FATAL = pino.levels.values.fatal as number;
/** At the exit: how long a reader may take nothing before it counts as gone. */
const IDLE_MS_MAX = 250;
/** And how long all of it may take where nothing else says. */
const FLUSH_MS_MAX = 2_000;

export class LogOutput {
  /** Asks pino to set `lastLevel` before each `write`. */
  readonly [METADATA] = true;
  lastLevel = 0;
  /** By when the process wants to have ended. */
  untilMs: number | undefined;
  readonly #out: LineWriter;
  readonly #err: LineWriter;
  readonly #isSame: boolean;
  readonly #scrubber: Scrubber;
  readonly #outForm = formFor(1);
  readonly #errForm = formFor(2);

  /** `secrets` never come out, whatever line they are in. */
  constructor(secrets: readonly string[] = []) {
    this.#scrubber = new Scrubber(secrets);
    const gapNote = jsonGapNote();
    this.#out = new LineWriter({
      stream: openStandardStream(1),
      gapNote: (lines) => this.#outForm(gapNote(lines)),
    });
    this.#err = new LineWriter({
      stream: openStandardStream(2),
      gapNote: (lines) => `product-service: ${gap(lines)}\n`,
    });
    this.#isSame = isSameStream(1, 2);
    process.once('exit', () => this.#flush());
  }

  /** A line of the log, from pino. */
  write(line: string): void {
    const isFatal = this.lastLevel >= FATAL;
    const clean = this.#scrubber.clean(line);
    const isOut = this.#out.line(this.#outForm(clean), isFatal);
    if (isFatal && !isOut && !this.#isSame) this.#err.line(this.#errForm(clean), true);
  }

  /** A line for people, on standard error. */
  say(line: string): void {
    const clean = this.#scrubber.clean(line.replaceAll('\n', ' '));
    this.#err.line(`product-service: ${clean}\n`, true);
  }

  /** A logger that writes here. */
  logger(level: Level | 'silent'): Logger {
    return pino({ level }, this);
  }

  #flush(): void {
    const untilMs = this.untilMs ?? performance.now() + FLUSH_MS_MAX;
    this.#err.flush(IDLE_MS_MAX, untilMs);
    this.#out.flush(IDLE_MS_MAX, untilMs);
  }
}

/** How lines go to standard output or standard error: for people if that is a terminal. */
function formFor(fd: 1 | 2): (line: string) => string {
  if (!isatty(fd)) return (line) => line;
  const { NO_COLOR = '', TERM } = process.env;
  const hasColors = NO_COLOR === '' && TERM !== 'dumb';
  return (line) => prettyLine(line, hasColors);
}

/** A line of the log like any other, made by pino but not written. */
function jsonGapNote(): (lines: number) => string {
  let line = '';
  const write = (text: string) => {
    line = text;
  };
  const logger = pino({ level: 'warn' }, { write });
  return (lines) => {
    logger.warn({ lines }, gap(lines));
    return line;
  };
}

function gap(lines: number): string {
  return `log: ${lines} lines were dropped here, because nobody took them`;
}
