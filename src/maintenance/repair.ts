/**
 * `repair`: builds what is provably good of a damaged data folder (repair-plan.ts says what that
 * is) into a new folder that starts again. The original files are only read. Main thread of a tool.
 *
 * The copy has one part for each shard, the whole repaired state, and one empty segment that starts where the
 * checkpoint ends: no gap has to be written down, and the log's rules hold from its first byte.
 * History and dead letters come with it where they are whole, or the report names them.
 * It is built under a temporary name and verified before it gets its own.
 */
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { writePart } from '../checkpoint/part-writer.ts';
import { writeWindowsPart } from '../checkpoint/windows-writer.ts';
import { CHECKPOINT_FOLDER, LOG_FOLDER } from '../log/data-dir.ts';
import { NodeFileSystem, writeFully } from '../log/file-system.ts';
import { isOtherVersion } from '../log/format.ts';
import { SegmentWriter } from '../log/segment-writer.ts';
import { NoRoomError } from '../store/no-room-error.ts';
import type { StorePlan } from '../store/sizing.ts';
import { copyWholeDatabase, DATABASES } from './database-copy.ts';
import { holdForReading } from './folder-hold.ts';
import { type Inspection, inspect, REPAIR_REPORT_NAME } from './inspection.ts';
import { LoadedFile } from './loaded-file.ts';
import { PartialFolder } from './partial-folder.ts';
import { ReadOnlyFiles } from './read-only-files.ts';
import { RebuiltStore } from './rebuilt-store.ts';
import { planRepair, type RepairPlan, SEQ_MARGIN } from './repair-plan.ts';
import { type Kept, type RepairReport, reportOf } from './repair-report.ts';
import { visitRun } from './segment-scan.ts';
import { verify } from './verify.ts';
import { WholeReceipts } from './whole-receipts.ts';

/** It can't be repaired, or not now. One line. */
export class RepairError extends Error {
  override readonly name = 'RepairError';
}

export interface RepairOptions {
  readonly root: string;
  /** The copy; must not exist. */
  readonly to: string;
  /** Room for the products, as the service that will run on the copy has it. */
  readonly store: StorePlan;
  /** Keyed events that it remembers. */
  readonly dedupeEvents: number;
  readonly now: Date;
}

/** Repairs, and returns what was kept and what was not. Throws RepairError. */
export function repair(options: RepairOptions): RepairReport {
  const { root, to } = options;
  if (existsSync(to)) throw new RepairError(`${to} exists; --to names a folder that does not`);
  const hold = holdForReading(root);
  if (hold.heldBy !== undefined) {
    throw new RepairError(`${root} is held by ${hold.heldBy}: stop the service first`);
  }
  try {
    return repairHeld(options);
  } catch (error) {
    if (!(error instanceof NoRoomError)) throw error;
    throw new RepairError('the products do not fit: raise MAX_MEMORY_USAGE and repair again');
  } finally {
    hold.release();
  }
}

function repairHeld({ root, to, store, dedupeEvents, now }: RepairOptions): RepairReport {
  const files = new ReadOnlyFiles();
  const found = inspect(files, root);
  refuseWhatIsNoDamage(found);
  const plan = planRepair(found);
  const rebuilt = new RebuiltStore(store, dedupeEvents);
  const kept = rebuild(files, found, plan, rebuilt);
  if (found.faults.length > 0 && plan.base === undefined && kept.events + kept.entries === 0) {
    throw new RepairError(`nothing in ${root} is provably good; restore a backup`);
  }
  const nextSeq = plan.knownEndSeq + (plan.isLogDamaged ? SEQ_MARGIN : 0);
  const { products } = rebuilt;
  const partial = new PartialFolder(to);
  const temporary = partial.data;
  try {
    const notCopied = copyDatabases(root, temporary);
    const report = reportOf({ found, plan, kept, notCopied, products, nextSeq, to, now });
    writeCopy(temporary, rebuilt, plan, nextSeq, now);
    writeReport(temporary, report);
    const copy = verify(files, temporary);
    const fault = copy.refusal ?? copy.faults[0]?.reason;
    if (fault !== undefined) throw new RepairError(`the copy did not come out whole: ${fault}`);
    partial.publish();
    return report;
  } catch (error) {
    partial.discard();
    throw error;
  }
}

/** Returns those that are not in the copy, and why. */
function copyDatabases(root: string, to: string): RepairReport['notCopied'] {
  return DATABASES.flatMap((name) => {
    const reason = copyWholeDatabase(root, to, name, new NodeFileSystem());
    return reason === undefined ? [] : [{ path: join(root, name), reason }];
  });
}

/** What would look like damage, and be lost, but only needs other rights or another program. */
function refuseWhatIsNoDamage({ faults, log }: Inspection): void {
  const closed = faults.find(({ reason }) => /^can't be opened: (?!EIO)/.test(reason));
  if (closed !== undefined) throw new RepairError(`${closed.path}: ${closed.reason}`);
  const segments = [...log.segments, ...log.foreign];
  // A segment's version is not under a checksum: with frames of this version it is only damaged.
  const isLogOfThis = segments.some(({ header, walk }) => header ?? walk.runs[0]);
  const other = faults.find((fault) => {
    const isSegment = segments.some(({ path }) => path === fault.path);
    return isOtherVersion(fault.reason) && !(isSegment && isLogOfThis);
  });
  if (other !== undefined) {
    throw new RepairError(`${other.path}: ${other.reason}; use that version to repair`);
  }
}

function rebuild(
  files: ReadOnlyFiles,
  { log }: Inspection,
  { base, salvaged, replayFrom }: RepairPlan,
  store: RebuiltStore,
): Kept {
  const { replay } = store;
  let entries = 0;
  let events = 0;
  // Newest first: an entry that is there already is the later state of its product.
  for (const scan of salvaged) scan.visit({ entries: replay.entries });
  for (const scan of base?.scans ?? []) scan.visit(replay);
  for (const scan of [...salvaged, ...(base?.scans ?? [])]) entries += scan.entries;
  for (const segment of log.segments) {
    const runs = segment.walk.runs.filter(({ endSeq }) => endSeq > replayFrom);
    const file = runs.length === 0 ? undefined : LoadedFile.load(files, segment.path);
    if (file === undefined) continue;
    for (const run of runs) {
      events += run.endSeq - Math.max(run.firstSeq, replayFrom);
      visitRun(file, segment, run, (slots, first, frame) =>
        replay.frame(slots, first, frame, replayFrom),
      );
    }
  }
  replay.finish();
  return { entries, events };
}

function writeCopy(
  folder: string,
  store: RebuiltStore,
  { lost, unknownTail, knownEndSeq }: RepairPlan,
  nextSeq: number,
  now: Date,
): void {
  const files = new NodeFileSystem();
  const log = join(folder, LOG_FOLDER);
  const checkpoints = join(folder, CHECKPOINT_FOLDER);
  files.makeFolder(log);
  files.makeFolder(checkpoints);
  const common = {
    files,
    folder: checkpoints,
    replayFrom: nextSeq,
    nowMs: now.getTime(),
    log: undefined,
    pause: () => undefined,
  };
  // Outcomes are left out: an event that is applied again beside a gap may not end as it was reported.
  const receipts = new WholeReceipts(store.receipts, {
    ranges: lost,
    unknownFrom: unknownTail === undefined ? undefined : knownEndSeq,
  });
  writeWindowsPart({ ...common, windows: { dedupe: store.dedupe, receipts, outcomes: undefined } });
  const { hashKey: key, shards } = store;
  for (let shard = 0; shard < shards.length; shard++) {
    writePart({
      ...common,
      key,
      shards,
      shard,
      outcomes: () => ({ firstSeq: 1, bytes: new Uint8Array(0) }),
      flushBytes: () => Number.POSITIVE_INFINITY,
    });
  }
  SegmentWriter.create(files, log, nextSeq, undefined, 0, now.getTime()).abandon();
}

function writeReport(folder: string, report: RepairReport): void {
  const files = new NodeFileSystem();
  const bytes = Buffer.from(`${JSON.stringify(report, undefined, 2)}\n`);
  const file = files.create(join(folder, REPAIR_REPORT_NAME));
  try {
    writeFully(files, file, bytes, 0, bytes.length, 0);
    files.syncData(file);
  } finally {
    files.close(file);
  }
  files.syncFolder(folder);
}
