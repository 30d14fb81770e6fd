/**
 * What `verify` prints: one summary, as JSON or as text for people. The JSON's members are a
 * promise to scripts (docs/durability.md). Pure.
 */
import { basename } from 'node:path';
import type { TornTail } from '../log/segment-reader.ts';
import type { Fault } from './loaded-file.ts';
import type { Verification } from './verify.ts';

export interface VerifySummary {
  readonly dataDir: string;
  /** Every fault and every refusal is damage; a torn tail, a leftover, what is set aside or unknown is not. */
  readonly isWhole: boolean;
  /** Who runs on the folder; null = nobody. */
  readonly heldBy: string | null;
  /** Whether a start would succeed; null = a service runs and something is damaged. */
  readonly wouldStart: boolean | null;
  readonly refusal: string | null;
  readonly log: {
    readonly segments: number;
    readonly frames: number;
    readonly events: number;
    /** null = no events. */
    readonly firstSeq: number | null;
    readonly lastSeq: number | null;
    readonly bytes: number;
    /** Whether the last frame says that the log was closed there. */
    readonly isSealed: boolean;
    readonly tornTail: TornTail | null;
  };
  /** Newest first. */
  readonly checkpoints: readonly {
    readonly path: string;
    readonly isWhole: boolean;
    /** In frames that proved whole. */
    readonly entries: number;
    readonly replayFrom: number;
    readonly bytes: number;
  }[];
  readonly leftovers: readonly string[];
  readonly aside: readonly string[];
  readonly unknown: readonly string[];
  readonly faults: readonly Fault[];
}

export function summarize(found: Verification): VerifySummary {
  const { root, log, faults, refusal, heldBy } = found;
  const runs = log.segments.flatMap(({ walk }) => walk.runs);
  const withEvents = runs.filter(({ firstSeq, endSeq }) => endSeq > firstSeq);
  const last = withEvents.at(-1);
  const isWhole = faults.length === 0 && refusal === undefined;
  return {
    dataDir: root,
    isWhole,
    heldBy: heldBy ?? null,
    wouldStart: heldBy !== undefined && !isWhole ? null : refusal === undefined,
    refusal: refusal ?? null,
    log: {
      segments: log.segments.length + log.foreign.length,
      frames: sum(runs.map(({ frames }) => frames)),
      events: sum(runs.map(({ firstSeq, endSeq }) => endSeq - firstSeq)),
      firstSeq: withEvents[0]?.firstSeq ?? null,
      lastSeq: last === undefined ? null : last.endSeq - 1,
      bytes: sum([...log.segments, ...log.foreign].map(({ bytes }) => bytes)),
      isSealed: log.segments.at(-1)?.walk.isSealed ?? false,
      tornTail: log.tornTail ?? null,
    },
    checkpoints: found.checkpoints.map(({ path, isWhole, entries, replayFrom, bytes }) => ({
      path,
      isWhole,
      entries,
      replayFrom,
      bytes,
    })),
    leftovers: found.leftovers,
    aside: found.aside,
    unknown: found.unknown,
    faults,
  };
}

/** The summary in lines; ends with a newline. */
export function verifyText(summary: VerifySummary): string {
  const { dataDir, heldBy, log, checkpoints, leftovers, aside, unknown, faults } = summary;
  const seqs = log.firstSeq === null ? 'no events' : `seq ${log.firstSeq} to ${log.lastSeq}`;
  const lines = [
    `data folder  ${dataDir}`,
    ...(heldBy === null
      ? []
      : [`running      held by ${heldBy}: the figures are of one moment, the tail moves on`]),
    `log          ${log.segments} segments, ${log.frames} frames, ${log.events} events (${seqs}), ${log.bytes} bytes`,
    `tail         ${tailLine(summary)}`,
    `checkpoints  ${checkpoints.length === 0 ? 'none' : `${checkpoints.length} parts and windows`}`,
    ...checkpointLines(checkpoints),
    `leftovers    ${leftovers.length === 0 ? 'none' : `${leftovers.join(', ')} (harmless: removed or written over)`}`,
    ...(aside.length === 0
      ? []
      : [`set aside    ${aside.join(', ')} (held before it joined anew: nothing reads it)`]),
    ...(unknown.length === 0 ? [] : [`unknown      ${unknown.join(', ')} (nothing reads them)`]),
    `faults       ${faults.length === 0 ? 'none' : faults.length}`,
    ...faults.map((fault) => `             ${faultLine(fault)}`),
    `result       ${resultLine(summary)}`,
  ];
  return `${lines.join('\n')}\n`;
}

/** `path at byte 4096, 128 bytes: reason` */
export function faultLine({ path, offsetBytes, lengthBytes, reason }: Fault): string {
  const length = lengthBytes === 0 ? '' : `, ${lengthBytes} bytes`;
  return `${path} at byte ${offsetBytes}${length}: ${reason}`;
}

/** What starts the replay at one seq on one line, but what is damaged on its own. */
function checkpointLines(checkpoints: VerifySummary['checkpoints']): string[] {
  const bySeq = new Map<number, { files: string[]; entries: number; bytes: number }>();
  const damaged: string[] = [];
  for (const { path, isWhole, entries, replayFrom, bytes } of checkpoints) {
    const name = basename(path);
    if (!isWhole) {
      damaged.push(`             ${name}  ${entries} entries, ${bytes} bytes, DAMAGED`);
      continue;
    }
    const line = bySeq.get(replayFrom) ?? { files: [], entries: 0, bytes: 0 };
    bySeq.set(replayFrom, line);
    line.files.push(name);
    line.entries += entries;
    line.bytes += bytes;
  }
  return [
    ...[...bySeq].map(([seq, { files, entries, bytes }]) => {
      const what = files.length === 1 ? files[0] : `${files.length} files`;
      return `             replay from seq ${seq}: ${what}, ${entries} entries, ${bytes} bytes`;
    }),
    ...damaged,
  ];
}

function tailLine({ heldBy, log: { tornTail, isSealed } }: VerifySummary): string {
  if (tornTail === null) return isSealed ? 'closed cleanly' : 'whole';
  const where = `${tornTail.bytes} bytes at byte ${tornTail.offsetBytes} of ${tornTail.path}`;
  if (heldBy !== null) return `being written: ${where}`;
  return `torn: ${where} (${tornTail.reason}); no acknowledged event, a start cuts it off`;
}

function resultLine({ isWhole, wouldStart, refusal }: VerifySummary): string {
  if (isWhole) return 'whole: a start would succeed';
  if (wouldStart === null) return 'DAMAGED; stop the service and verify again to see if it starts';
  if (wouldStart) return 'DAMAGED, but a start would succeed without what is damaged';
  return `DAMAGED: a start would be refused: ${refusal}`;
}

function sum(numbers: readonly number[]): number {
  return numbers.reduce((total, n) => total + n, 0);
}
