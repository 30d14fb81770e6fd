/**
 * The one source of the status page's figures: while anybody looks, a snapshot is taken each second and
 * written to all of them. Main thread; nothing runs while nobody looks. A viewer who takes nothing misses
 * snapshots, and is cut off when they have piled up. All streams end when the service stops.
 */
import type { ServerResponse } from 'node:http';
import type { Lifecycle } from '../../lifecycle.ts';

const EVERY_MS = 1000;
/** Some twenty snapshots. */
const OUTSTANDING_BYTES_MAX = 256 * 1024;
export const VIEWERS_MAX = 100;

export class StatusStream {
  readonly #snapshot: () => Promise<string>;
  readonly #lifecycle: Lifecycle;
  readonly #report: (error: unknown) => void;
  readonly #viewers = new Set<ServerResponse>();
  #timer: NodeJS.Timeout | undefined;
  #isTaking = false;

  /** `report` hears of a snapshot that could not be taken; the next one is tried all the same. */
  constructor(
    snapshot: () => Promise<string>,
    lifecycle: Lifecycle,
    report: (error: unknown) => void,
  ) {
    this.#snapshot = snapshot;
    this.#lifecycle = lifecycle;
    this.#report = report;
  }

  get hasRoom(): boolean {
    return this.#viewers.size < VIEWERS_MAX;
  }

  get viewers(): number {
    return this.#viewers.size;
  }

  /** The headers are written; from now on the response is this object's. */
  add(response: ServerResponse): void {
    this.#viewers.add(response);
    response.once('close', () => {
      this.#viewers.delete(response);
      if (this.#viewers.size === 0) this.#rest();
    });
    response.write('retry: 2000\n\n'); // at once, so that proxies hand the headers on
    this.#timer ??= setInterval(() => void this.#tick(), EVERY_MS);
    void this.#tick();
  }

  async #tick(): Promise<void> {
    if (this.#isTaking) return;
    this.#isTaking = true;
    try {
      const event = `data: ${await this.#snapshot()}\n\n`;
      for (const viewer of this.#viewers) show(viewer, event);
    } catch (error) {
      this.#report(error);
    } finally {
      this.#isTaking = false;
    }
    const { phase } = this.#lifecycle;
    if (phase === 'stopping' || phase === 'stopped') {
      for (const viewer of this.#viewers) viewer.end();
    }
  }

  #rest(): void {
    clearInterval(this.#timer);
    this.#timer = undefined;
  }
}

function show(viewer: ServerResponse, event: string): void {
  if (viewer.writableLength > OUTSTANDING_BYTES_MAX) viewer.destroy();
  else viewer.write(event);
}
