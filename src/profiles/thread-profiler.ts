/**
 * Profiles of all threads at once, in pprof's format: where CPU time goes, and what holds memory that was
 * allocated meanwhile. Main thread. Nothing runs, and nothing is loaded, until somebody asks; one at a
 * time. A thread that does not answer (it hangs, or ends just then) is left out, and a comment in the
 * profile says so.
 */
import { startCpuProfile } from 'node:v8';
import type { Worker } from 'node:worker_threads';
import { within } from '../deadline.ts';
import { type Frame, PprofBuilder, type ProfileOptions } from './pprof.ts';
import {
  addCpuProfile,
  addHeapProfile,
  CPU_TYPES,
  type CpuProfile,
  HEAP_TYPES,
  type HeapProfile,
  parseProfile,
} from './v8-profiles.ts';

/** A thread beside the main one. */
export interface ProfiledThread {
  readonly name: string;
  readonly worker: Worker;
}

/** V8's own. */
const CPU_PERIOD_NS = 1_000_000;
const HEAP_PERIOD_BYTES = 32_768;
/** How long a thread may take to answer. */
const ANSWER_MS_MAX = 20_000;
const MAIN = 'main';
/** ring/sleep.ts: in there a thread waits for another one. */
const STARTERS = new Set(['startCpuProfile', 'stopCpuProfile']);
const SLEEPER = { name: 'sleepUntilRung', file: /[/\\]ring[/\\]sleep\.ts$/ };

/** A profile under way in one thread: ends it, and gives what V8 says. */
interface Running {
  readonly name: string;
  readonly stop: () => Promise<Taken>;
}

/** What V8 says of one thread, as JSON, and how much CPU time the kernel says that it used meanwhile. */
interface Taken {
  readonly text: string;
  readonly usedUs: number;
}

export class ThreadProfiler {
  readonly #threads: () => readonly ProfiledThread[];
  #isBusy = false;
  #isOver = false;
  /** Ends the wait of the profile under way. */
  #end: () => void = () => undefined;

  constructor(threads: () => readonly ProfiledThread[]) {
    this.#threads = threads;
  }

  /** Where all threads spend their CPU time for `ms`, or until `signal`; `busy` if one is under way. */
  cpu(ms: number, signal: AbortSignal): Promise<Uint8Array | 'busy'> {
    return this.#run(
      ms,
      signal,
      async () => {
        const handle = startCpuProfile();
        const before = process.threadCpuUsage();
        return async () => {
          const usedUs = microseconds(process.threadCpuUsage(before));
          return { text: handle.stop(), usedUs };
        };
      },
      async (worker) => {
        const handle = await worker.startCpuProfile();
        const before = await worker.cpuUsage();
        return async () => {
          const usedUs = microseconds(await worker.cpuUsage(before));
          return { text: await handle.stop(), usedUs };
        };
      },
      { sampleTypes: CPU_TYPES, period: { type: ['cpu', 'nanoseconds'], value: CPU_PERIOD_NS } },
      (builder, name, { text, usedUs }) =>
        addCpuProfile(builder, name, parseProfile<CpuProfile>(text), usedUs, isLeftOut),
    );
  }

  /** What all threads have allocated within `ms`, or until `signal`, and still hold. */
  heap(ms: number, signal: AbortSignal): Promise<Uint8Array | 'busy'> {
    return this.#run(
      ms,
      signal,
      startOwnHeapProfile,
      async (worker) => {
        const handle = await worker.startHeapProfile();
        return async () => ({ text: await handle.stop(), usedUs: 0 });
      },
      { sampleTypes: HEAP_TYPES, period: { type: ['space', 'bytes'], value: HEAP_PERIOD_BYTES } },
      (builder, name, { text }) => addHeapProfile(builder, name, parseProfile<HeapProfile>(text)),
    );
  }

  /** From now on a profile ends as soon as it has begun; the one under way, too, with what it has. */
  endEarly(): void {
    this.#isOver = true;
    this.#end();
  }

  async #run(
    ms: number,
    signal: AbortSignal,
    startMain: () => Promise<() => Promise<Taken>>,
    startWorker: (worker: Worker) => Promise<() => Promise<Taken>>,
    options: Pick<ProfileOptions, 'sampleTypes' | 'period'>,
    add: (builder: PprofBuilder, name: string, taken: Taken) => void,
  ): Promise<Uint8Array | 'busy'> {
    if (this.#isBusy) return 'busy';
    this.#isBusy = true;
    try {
      const startMs = Date.now();
      const beganMs = performance.now();
      const missing: string[] = [];
      const answered = async <T>(name: string, promise: Promise<T>): Promise<T | undefined> => {
        const answers: T[] = [];
        const settled = promise.then(
          (value) => void answers.push(value),
          () => undefined, // it has ended
        );
        await within(ANSWER_MS_MAX, settled);
        if (answers.length === 0) missing.push(name);
        return answers[0];
      };
      const begun = await Promise.all(
        this.#threads().map(async ({ name, worker }): Promise<Running[]> => {
          const stop = await answered(name, startWorker(worker));
          return stop === undefined ? [] : [{ name, stop }];
        }),
      );
      // Last and first, so that what this costs is not in it.
      const running = [...begun.flat(), { name: MAIN, stop: await startMain() }];
      await this.#wait(ms, signal);
      const taken = await Promise.all(
        running
          .toReversed()
          .map(async ({ name, stop }) => ({ name, of: await answered(name, stop()) })),
      );
      const comments = missing.map((name) => `no answer from ${name}: left out`);
      const durationMs = performance.now() - beganMs;
      const builder = new PprofBuilder({ ...options, startMs, durationMs, comments });
      for (const { name, of } of taken) if (of !== undefined) add(builder, name, of);
      return builder.gzipped();
    } finally {
      this.#isBusy = false;
    }
  }

  async #wait(ms: number, signal: AbortSignal): Promise<void> {
    const over = Promise.withResolvers<void>();
    const end = () => over.resolve();
    const timer = setTimeout(end, ms);
    signal.addEventListener('abort', end);
    this.#end = end;
    if (signal.aborted || this.#isOver) end();
    await over.promise;
    clearTimeout(timer);
    signal.removeEventListener('abort', end);
  }
}

/** Sleep, and what taking the profile costs itself. */
function isLeftOut({ name, file }: Frame): boolean {
  return (name === SLEEPER.name && SLEEPER.file.test(file)) || STARTERS.has(name);
}

function microseconds({
  user,
  system,
}: {
  readonly user: number;
  readonly system: number;
}): number {
  return user + system;
}

/** Of this thread, which Node offers by the inspector only; nobody can connect to that. */
async function startOwnHeapProfile(): Promise<() => Promise<Taken>> {
  const { Session } = await import('node:inspector/promises');
  const session = new Session();
  session.connect();
  await session.post('HeapProfiler.startSampling', { samplingInterval: HEAP_PERIOD_BYTES });
  return async () => {
    const { profile } = await session.post('HeapProfiler.stopSampling');
    session.disconnect();
    return { text: JSON.stringify(profile), usedUs: 0 };
  };
}
