/** The seam to the history of products: what routes ask of it. Main thread; types only. */
import type { HistoryAnswers, HistoryAsk, Placed } from '../../history/history-messages.ts';
import type { AppliedProgress } from './applied-progress.ts';

export interface History {
  /** Which events are in it. */
  readonly progress: AppliedProgress;
  /** Rejects with an Error named HistoryUnavailableError while it can't answer. */
  ask<K extends HistoryAsk['kind']>(
    ask: HistoryAsk & { readonly kind: K },
  ): Promise<Placed<HistoryAnswers[K]>>;
}
