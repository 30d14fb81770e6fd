/**
 * A watchdog on the threads' progress: who has work waiting and takes no step for a given time is
 * stalled, until the next step. Main thread; looks at shared memory, and asks nobody.
 *
 * Time counts only as far as this thread was there to look: if the whole process was held (SIGSTOP, a
 * suspended machine), nobody could have moved meanwhile.
 */

/** Somebody who has work, as shared memory shows it. */
export interface Work {
  /** As in "log", "applier 0". */
  readonly name: string;
  /** How much waits for it; 0 = nothing, or it is excused. */
  readonly pending: () => number;
  /** Changes with each step that it takes. */
  readonly position: () => number;
  /** Who must go on before it can: while one of them is stalled, it is not. */
  readonly behind?: readonly string[];
  /** Whether its work is to come round, and nothing that could be counted. */
  readonly isLoop?: boolean;
  /** Where it may stand for another time than the rest. */
  readonly limitMs?: number;
}

export interface Stall {
  readonly name: string;
  /** `undefined`: it is a loop that does not come round. */
  readonly pending: number | undefined;
  /** Since its last step, at least. */
  readonly forMs: number;
}

export interface ProgressWatchOptions {
  /** Those whom others are `behind` come before them. */
  readonly works: readonly Work[];
  /** Without a step for so long, with work waiting, it is stalled. */
  readonly limitMs: number;
  /** Somebody stalls. Called once, until it goes on. */
  readonly onStall: (stall: Stall) => void;
  /** It goes on again. */
  readonly onProgress: (name: string) => void;
  /** Monotonic; tests bring their own. */
  readonly nowMs?: () => number;
}

interface Watched {
  readonly work: Work;
  position: number;
  /** For how long it has stood there with work waiting. */
  stoodMs: number;
  stall: Stall | undefined;
}

const LOOKS_PER_LIMIT = 10;
const LOOK_EVERY_MS_MIN = 10;
const LOOK_EVERY_MS_MAX = 1000;
/** What passes between two looks counts up to so many times their distance. */
const LATE_LOOKS_MAX = 2;

/** How far two looks are apart. */
export function lookEveryMs(limitMs: number): number {
  const everyMs = Math.round(limitMs / LOOKS_PER_LIMIT);
  return Math.min(LOOK_EVERY_MS_MAX, Math.max(LOOK_EVERY_MS_MIN, everyMs));
}

export class ProgressWatch {
  readonly #options: ProgressWatchOptions;
  readonly #watched: readonly Watched[];
  readonly #everyMs: number;
  readonly #nowMs: () => number;
  readonly #timer: NodeJS.Timeout;
  #lookedAtMs: number;

  /** Starts watching. */
  constructor(options: ProgressWatchOptions) {
    this.#options = options;
    this.#nowMs = options.nowMs ?? (() => performance.now());
    this.#everyMs = lookEveryMs(options.limitMs);
    this.#watched = options.works.map((work) => ({
      work,
      position: work.position(),
      stoodMs: 0,
      stall: undefined,
    }));
    this.#lookedAtMs = this.#nowMs();
    this.#timer = setInterval(() => this.look(), this.#everyMs).unref();
  }

  stop(): void {
    clearInterval(this.#timer);
  }

  /** Who is stalled, as of the last look. */
  get stalls(): readonly Stall[] {
    return this.#watched.flatMap(({ stall }) => stall ?? []);
  }

  look(): void {
    const nowMs = this.#nowMs();
    const passedMs = Math.min(nowMs - this.#lookedAtMs, LATE_LOOKS_MAX * this.#everyMs);
    this.#lookedAtMs = nowMs;
    for (const watched of this.#watched) this.#judge(watched, passedMs);
  }

  #judge(watched: Watched, passedMs: number): void {
    const { onStall, onProgress } = this.#options;
    const { name, pending, position, behind = [], isLoop = false } = watched.work;
    const { limitMs = this.#options.limitMs } = watched.work;
    // The position first: a step in between counts as none, and the next look sees it.
    const at = position();
    const waiting = pending();
    const isHeldUp = this.stalls.some((stall) => behind.includes(stall.name));
    if (at !== watched.position || waiting === 0 || isHeldUp) {
      watched.position = at;
      watched.stoodMs = 0;
      if (watched.stall === undefined) return;
      watched.stall = undefined;
      onProgress(name);
      return;
    }
    watched.stoodMs += passedMs;
    if (watched.stoodMs < limitMs) return;
    const isNew = watched.stall === undefined;
    watched.stall = { name, pending: isLoop ? undefined : waiting, forMs: watched.stoodMs };
    if (isNew) onStall(watched.stall);
  }
}
