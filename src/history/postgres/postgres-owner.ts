/** Whose the history in a database is. Pure. */
import type { HistoryTarget } from '../history-store.ts';

/** The lock of whoever writes it. */
export function lockOf(schema: string): string {
  return `product-service history ${schema}`;
}

/**
 * Whether it was that of the generation before of the same cluster, and has nothing that this generation has not: then
 * it goes on. Behind that its seqs were given to other events.
 */
export function isOfBefore(
  place: Readonly<Record<string, unknown>>,
  { before }: HistoryTarget & { readonly kind: 'postgres' },
): boolean {
  return before?.identity === place.identity && Number(place.seq) <= (before?.seqMax ?? 0);
}
