/**
 * Where the service is in its life, as another thread that serves HTTP tells its clients. It takes part in it:
 * until this thread is open it is starting, whatever the rest is.
 */
import type { HealthCheck, Lifecycle, Phase } from '../lifecycle.ts';
import type { ServiceState } from './service-state.ts';

export class ThreadLifecycle implements Lifecycle {
  readonly isReader: boolean;
  /** Whether this thread takes events, or did. */
  isOpen = false;
  /** One sentence, as the main thread said it last. */
  stalledText: string | undefined;
  readonly checks: () => Promise<readonly HealthCheck[]>;
  readonly #state: ServiceState;

  constructor(
    state: ServiceState,
    isReader: boolean,
    checks: () => Promise<readonly HealthCheck[]>,
  ) {
    this.#state = state;
    this.isReader = isReader;
    this.checks = checks;
  }

  get phase(): Phase {
    const { phase } = this.#state;
    return this.isOpen || phase !== 'ready' ? phase : 'starting';
  }

  get wasReady(): boolean {
    return this.isOpen && this.#state.wasReady;
  }

  get storageAvailable(): boolean {
    return this.#state.storageAvailable;
  }

  get replayedPercent(): number | undefined {
    return this.#state.replayedPercent;
  }

  get stalled(): string | undefined {
    if (!this.#state.isStalled) return undefined;
    return this.stalledText ?? 'No progress of a thread that has events waiting.';
  }
}
