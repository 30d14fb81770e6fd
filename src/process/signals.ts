/**
 * The signals of the process, from its first moment on: main.ts installs this before it loads anything
 * else, because process 1 of a container has no default action for a signal that nobody handles (it is
 * lost), and because SIGUSR1 would open Node's inspector. Main thread.
 *
 * Interleavings: a signal may come before there is anything to stop. It is kept, with its time, and
 * handed to the handler when that is set: none is lost, and none is handled twice. A second one that
 * comes while the first is still kept ends the process at once, as it does later.
 */

/** All of them stop the service in order: who sends one of them wants it to end. */
const STOP_SIGNALS = ['SIGTERM', 'SIGINT', 'SIGQUIT', 'SIGUSR2'] as const;
/** They end nothing: a terminal that goes away, or files to read anew; and Node's own signal for the inspector. */
const IGNORED_SIGNALS = ['SIGHUP', 'SIGUSR1'] as const;

/**
 * npm passes a signal on to its child, which a terminal has already sent it to: what comes again
 * so soon is the same Ctrl-C, not a second one.
 */
const SAME_SIGNAL_MS = 100;

const EXIT_FAILED = 1;

export interface SignalHandler {
  /** The first signal to stop, and when it came (`performance.now()`). Called once. */
  readonly stop: (signal: NodeJS.Signals, atMs: number) => void;
  /** A second one; the process ends when this returns. */
  readonly again: (signal: NodeJS.Signals) => void;
  /** One that ends nothing. */
  readonly ignored: (signal: NodeJS.Signals) => void;
}

export class Signals {
  #handler: SignalHandler | undefined;
  #first: { readonly signal: NodeJS.Signals; readonly atMs: number } | undefined;
  readonly #onStop = (signal: NodeJS.Signals) => this.#stop(signal);
  readonly #onIgnored = (signal: NodeJS.Signals) => this.#handler?.ignored(signal);

  /** From here on no signal is lost. */
  constructor() {
    for (const signal of STOP_SIGNALS) process.on(signal, this.#onStop);
    for (const signal of IGNORED_SIGNALS) process.on(signal, this.#onIgnored);
  }

  /** Whether one to stop has come. */
  get isStopping(): boolean {
    return this.#first !== undefined;
  }

  /** Hands it what has come and what will come. */
  handle(handler: SignalHandler): void {
    this.#handler = handler;
    if (this.#first !== undefined) handler.stop(this.#first.signal, this.#first.atMs);
  }

  /** Gives the signals that stop their default actions back: for commands, which block this thread. */
  release(): void {
    for (const signal of STOP_SIGNALS) process.off(signal, this.#onStop);
    process.off('SIGHUP', this.#onIgnored);
    if (this.#first !== undefined) process.kill(process.pid, this.#first.signal);
  }

  #stop(signal: NodeJS.Signals): void {
    const atMs = performance.now();
    if (this.#first === undefined) {
      this.#first = { signal, atMs };
      this.#handler?.stop(signal, atMs);
    } else if (atMs - this.#first.atMs >= SAME_SIGNAL_MS) {
      this.#handler?.again(signal);
      process.exit(EXIT_FAILED);
    }
  }
}
