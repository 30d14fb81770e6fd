/** The seam to the dead letters: what operators may do with them over HTTP. Main thread. */
import type { Offer } from '../../intake/event-intake.ts';

export interface LetterView {
  readonly id: number;
  /** Name of the sink, or `applier`. */
  readonly source: string;
  readonly productId: string;
  readonly seq: number;
  /** The row or the event, as JSON. */
  readonly content: string;
  readonly code: string;
  readonly reason: string;
  readonly firstMs: number;
  readonly lastMs: number;
  readonly times: number;
}

export type RedriveEnd =
  | { readonly status: 'written' | 'refused' | 'queued' | 'no-sink' }
  | { readonly status: 'sent'; readonly seq: number }
  | { readonly status: 'rejected'; readonly offer: Exclude<Offer, 'queued'> | 'failed' };

export interface DeadLetterBox {
  /** Up to `limit` letters behind the one with the id `after`, oldest first. */
  list(
    after: number,
    limit: number,
    filter: { readonly source?: string | undefined; readonly productId?: string | undefined },
  ): Promise<readonly LetterView[]>;
  /** Sends it again; `undefined` if there is no such letter. */
  redrive(id: number): Promise<RedriveEnd | undefined>;
  /** Whether it was there. */
  remove(id: number): Promise<boolean>;
}
