/**
 * When all that was decided about room up to a moment is applied. An event of a product that is known is queued
 * without a reservation; so before the place of a product that is known no more is freed, whatever was decided
 * before has to be through. Main thread.
 *
 * Whoever else decides about room, on another thread with rings of its own, has to be asked the same, once it sees all
 * that was forgotten: what it decided before, and has not queued or not had settled, counts as well.
 *
 *   batches that have decided and not queued all ──▶ all that is claimed is settled ──▶ all with a seq is applied
 */
import type { AppliedWatermark } from '../apply/applied-watermark.ts';
import type { BulkIntake } from '../intake/bulk-intake.ts';
import type { RingIntake } from '../intake/ring-intake.ts';
import type { LogProgress } from '../ring/progress.ts';

const LOOK_MS = 5;

export interface AdmissionFenceOptions {
  readonly intake: RingIntake;
  readonly bulk: BulkIntake;
  readonly progress: LogProgress;
  readonly watermark: AppliedWatermark;
}

/** Resolves then; rejects when the intake is closed meanwhile. */
export async function decisionsApplied(options: AdmissionFenceOptions): Promise<void> {
  const { intake, bulk, progress, watermark } = options;
  const { deciding } = bulk.admission;
  const before = [...deciding];
  await until(bulk, () => !before.some((batch) => deciding.has(batch)));
  const live = intake.claimed;
  const batches = bulk.claimed;
  await until(bulk, () => intake.isSettled(live) && bulk.isSettled(batches));
  const seq = progress.loadNextSeq() - 1;
  await until(bulk, () => watermark.seq >= seq);
}

async function until(bulk: BulkIntake, isSo: () => boolean): Promise<void> {
  while (!isSo()) {
    if (!bulk.isOpen) throw new Error('the intake was closed');
    await new Promise((resolve) => setTimeout(resolve, LOOK_MS));
  }
}
