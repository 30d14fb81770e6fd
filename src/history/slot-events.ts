/** Events as they stand in slots, for the history. The history's thread. */
import type { EventBatch } from '../changes/event-batch.ts';
import type { OutcomeReader } from '../outcome/outcome-window.ts';
import {
  FLAG_ARRIVAL_TIME,
  FLAG_HAS_PRICE,
  FLAG_HAS_STOCK,
  KIND_BATCH_RECEIPT,
  KIND_FORGET,
  metaIdBytes,
  metaKind,
  SLOT_BYTES,
  SLOT_DOUBLES,
  SLOT_EXPECTED_SEQ,
  SLOT_ID_BYTE,
  SLOT_META,
  SLOT_OCCURRED_AT,
  SLOT_PRICE,
  SLOT_SEQ,
  SLOT_STOCK,
  SLOT_WORDS,
} from '../ring/slot.ts';
import type { HistoryEvent } from './history-writer.ts';

/** The event at `index`, which is applied; `undefined` if it says nothing: refused, dead, or no event. */
export function historyEvent(
  { slots: { words, doubles }, bytes }: EventBatch,
  index: number,
  outcomes: Pick<OutcomeReader, 'outcomeOfApplied'>,
): HistoryEvent | undefined {
  const d = index * SLOT_DOUBLES;
  const meta = words[index * SLOT_WORDS + SLOT_META];
  // What the store forgets, the history keeps.
  if (metaKind(meta) === KIND_BATCH_RECEIPT || metaKind(meta) === KIND_FORGET) return undefined;
  const seq = doubles[d + SLOT_SEQ];
  const outcome = outcomes.outcomeOfApplied(seq);
  if (outcome === 'refused' || outcome === 'dead') return undefined;
  const id = index * SLOT_BYTES + SLOT_ID_BYTE;
  return {
    seq,
    productId: bytes.toString('utf8', id, id + metaIdBytes(meta)),
    price: meta & FLAG_HAS_PRICE ? presentOrNull(doubles[d + SLOT_PRICE]) : undefined,
    stock: meta & FLAG_HAS_STOCK ? presentOrNull(doubles[d + SLOT_STOCK]) : undefined,
    occurredAtMs: doubles[d + SLOT_OCCURRED_AT],
    isArrival: (meta & FLAG_ARRIVAL_TIME) !== 0,
    expectedSeq: doubles[d + SLOT_EXPECTED_SEQ],
    isJudged: outcome === 'applied' || outcome === 'stale',
  };
}

/** A delist writes NaN to both fields. */
function presentOrNull(value: number): number | null {
  return Number.isNaN(value) ? null : value;
}
