/**
 * What of a damaged data folder is provably good, and what is lost: decided from an inspection, pure.
 *
 * Provably good is
 *   1. a part of a checkpoint that proves whole: the state of its shard after all events before its
 *      seq; so a part for each shard, or a whole checkpoint of format 1, is the state of all products;
 *   2. a frame whose checksum holds, at the offset it names, with the nonce of its file, in a segment
 *      that no other contradicts (log-scan.ts): real events under their real seqs, wherever the
 *      frames before it are; the same holds for the blocks of a part that is damaged elsewhere, and
 *      for parts without which the state is whole: each entry is a true state of its product, complete up to the entry's seq.
 * Everything else is reported and left out.
 *
 * The repaired state is then: the entries of the newest whole state (and, only where events
 * behind it are missing, of all newer files), then every good event in order by the real merge
 * rule. Events behind a gap are kept: each was acknowledged, and a field that they set is newer than
 * what the lost ones could have set, or the rule itself (newest event time wins) decides.
 *
 * Seqs stay true: no event is renumbered, and none is numbered twice. If the log itself is damaged,
 * the seqs behind the last known one may have been given away too; the repaired log goes on
 * SEQ_MARGIN behind it.
 */
import { basesOf, type CheckpointBase } from './checkpoint-base.ts';
import type { CheckpointScan } from './checkpoint-scan.ts';
import type { Inspection } from './inspection.ts';

/** More events than one segment holds at the most (SEGMENT_SIZE 1GB), and only one can be unknown. */
export const SEQ_MARGIN = 2 ** 24;

/** Events by seq, both ends included. */
export interface SeqRange {
  readonly fromSeq: number;
  readonly toSeq: number;
}

export interface RepairPlan {
  /** The newest state that proves whole; `undefined` = the log from its beginning. */
  readonly base: CheckpointBase | undefined;
  /** Others newer than that, newest first, whose good entries stand in for lost events. */
  readonly salvaged: readonly CheckpointScan[];
  /** Good events before it are not needed. */
  readonly replayFrom: number;
  /** Behind the last good event of the log, and behind what whole checkpoints vouch for. */
  readonly knownEndSeq: number;
  readonly lost: readonly SeqRange[];
  /** Why events behind the last known one may have existed too; `undefined` = they did not. */
  readonly unknownTail: string | undefined;
  /** Whether the log has faults; a damaged checkpoint or a torn tail alone is none. */
  readonly isLogDamaged: boolean;
}

export function planRepair({ log, checkpoints }: Inspection): RepairPlan {
  const base = basesOf(checkpoints.filter(({ isWhole }) => isWhole))[0];
  const from = base?.replayFrom ?? 1;
  const runs = log.segments.flatMap(({ walk }) => walk.runs);
  const logEnd = Math.max(1, ...runs.map(({ endSeq }) => endSeq));
  // Every name says that events before it existed: also one of a damaged file.
  const knownEndSeq = Math.max(
    logEnd,
    ...checkpoints.map(({ replayFrom, lastSeq }) => Math.max(replayFrom, lastSeq + 1)),
    ...log.segments.map(({ firstSeq }) => firstSeq),
    log.newest ?? 1,
  );
  const lost = gaps(runs, from, knownEndSeq);
  return {
    base,
    salvaged:
      lost.length === 0
        ? []
        : checkpoints.filter(
            (c) => !c.isWindows && c.replayFrom > from && base?.scans.includes(c) !== true,
          ),
    replayFrom: lost.length === 0 ? from : 1,
    knownEndSeq,
    lost,
    unknownTail: unknownTail({ log, checkpoints }, logEnd),
    isLogDamaged: log.faults.length > 0 || logEnd < knownEndSeq,
  };
}

/** The seqs from `from` up to `end` that no run holds. */
export function gaps(
  runs: readonly { readonly firstSeq: number; readonly endSeq: number }[],
  from: number,
  end: number,
): SeqRange[] {
  const missing: SeqRange[] = [];
  let next = from;
  for (const { firstSeq, endSeq } of [...runs].sort((a, b) => a.firstSeq - b.firstSeq)) {
    if (firstSeq > next && next < end) missing.push({ fromSeq: next, toSeq: firstSeq - 1 });
    next = Math.max(next, endSeq);
  }
  if (next < end) missing.push({ fromSeq: next, toSeq: end - 1 });
  return missing;
}

function unknownTail(
  { log, checkpoints }: Pick<Inspection, 'log' | 'checkpoints'>,
  logEnd: number,
): string | undefined {
  const last = log.segments.at(-1);
  const newestName = Math.max(0, ...[...log.segments, ...log.foreign].map((s) => s.nameSeq));
  if (log.newest !== undefined && log.newest > newestName) return 'the newest segment is missing';
  if (last === undefined) {
    return checkpoints.some(({ replayFrom }) => replayFrom > 1) ? 'the log is missing' : undefined;
  }
  if (last.nameSeq < newestName && last.firstSeq < newestName) {
    return 'the newest segment does not belong to this log';
  }
  if (last.header === undefined && last.walk.runs.length === 0) {
    return 'nothing of the newest segment can be read';
  }
  if (checkpoints.some((c) => c.replayFrom > logEnd || c.lastSeq >= logEnd)) {
    return 'the end of the log is missing';
  }
  if (log.isNewestLost) return 'nothing says which segment was the newest';
  return undefined;
}
