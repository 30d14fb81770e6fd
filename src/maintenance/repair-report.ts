/**
 * What `repair` says of its work: repair-report.json in the copy and text for people. The JSON's
 * members are a promise to scripts (docs/durability.md). Pure.
 */
import type { TornTail } from '../log/segment-reader.ts';
import { type ForeignEvents, foreignEvents } from './foreign-events.ts';
import type { Inspection } from './inspection.ts';
import type { Fault } from './loaded-file.ts';
import type { RepairPlan, SeqRange } from './repair-plan.ts';
import { faultLine } from './verify-report.ts';

/** What went into the repaired state. */
export interface Kept {
  /** Entries of checkpoints, before the merge. */
  readonly entries: number;
  /** Of the log, before the merge. */
  readonly events: number;
}

export interface RepairReport {
  readonly dataDir: string;
  readonly repairedTo: string;
  readonly repairedAt: string;
  /** Whether all that the folder had is in the copy, by all that is known: every event, history and dead letters. */
  readonly isComplete: boolean;
  readonly products: number;
  /** What the next event in the copy is numbered. */
  readonly nextSeq: number;
  readonly kept: {
    /** Replay seq of the whole checkpoint that the copy is built on; null = none. */
    readonly checkpoint: number | null;
    /** Damaged checkpoints whose good entries stand in for lost events. */
    readonly salvagedCheckpoints: readonly number[];
    readonly entries: number;
    readonly events: number;
  };
  /** Events that existed and are not in the copy; the state may still have what they set. */
  readonly lost: readonly (SeqRange & { readonly events: number })[];
  /** Why events from `fromSeq` on may have existed too; null = they did not. */
  readonly uncertain: { readonly fromSeq: number; readonly reason: string } | null;
  /** Good events of another log, which can't be merged: left out. */
  readonly foreign: readonly ForeignEvents[];
  /** Databases (history, dead letters) that are not whole, and so not in the copy. */
  readonly notCopied: readonly { readonly path: string; readonly reason: string }[];
  /** Cut as at every start; no acknowledged events. */
  readonly tornTail: TornTail | null;
  readonly faults: readonly Fault[];
}

export interface RepairFacts {
  readonly found: Inspection;
  readonly plan: RepairPlan;
  readonly kept: Kept;
  readonly notCopied: RepairReport['notCopied'];
  readonly products: number;
  readonly nextSeq: number;
  readonly to: string;
  readonly now: Date;
}

export function reportOf(facts: RepairFacts): RepairReport {
  const { found, plan, kept, notCopied, products, nextSeq, to, now } = facts;
  const { base, salvaged, lost, unknownTail, knownEndSeq } = plan;
  const foreign = foreignEvents(found.log);
  return {
    dataDir: found.root,
    repairedTo: to,
    repairedAt: now.toISOString(),
    isComplete:
      unknownTail === undefined && [lost, foreign, notCopied].every(({ length }) => length === 0),
    products,
    nextSeq,
    kept: {
      checkpoint: base?.replayFrom ?? null,
      salvagedCheckpoints: [...new Set(salvaged.map(({ replayFrom }) => replayFrom))],
      ...kept,
    },
    lost: lost.map((range) => ({ ...range, events: range.toSeq - range.fromSeq + 1 })),
    uncertain: unknownTail === undefined ? null : { fromSeq: knownEndSeq, reason: unknownTail },
    foreign,
    notCopied,
    tornTail: found.log.tornTail ?? null,
    faults: found.faults,
  };
}

/** The report in lines; ends with a newline. */
export function repairText(report: RepairReport): string {
  const { dataDir, repairedTo, products, nextSeq, kept, lost, uncertain, foreign, tornTail } =
    report;
  const base = kept.checkpoint === null ? 'no checkpoint' : `checkpoint ${kept.checkpoint}`;
  const salvaged = kept.salvagedCheckpoints.map((seq) => `, what is good of checkpoint ${seq}`);
  const lostEvents = lost.reduce((sum, { events }) => sum + events, 0);
  const lines = [
    `data folder  ${dataDir} (untouched)`,
    `repaired to  ${repairedTo}`,
    `kept         ${products} products from ${base}${salvaged.join('')} and ${kept.events} events of the log`,
    `next seq     ${nextSeq}`,
    `faults       ${report.faults.length === 0 ? 'none' : report.faults.length}`,
    ...report.faults.map((fault) => `             ${faultLine(fault)}`),
    ...(tornTail === null
      ? []
      : [
          `torn tail    ${tornTail.bytes} bytes at byte ${tornTail.offsetBytes} of ${tornTail.path}`,
        ]),
    `lost         ${lostEvents === 0 ? 'none' : `${lostEvents} events`}`,
    ...lost.map(
      ({ fromSeq, toSeq, events }) => `             seq ${fromSeq} to ${toSeq}: ${events} events`,
    ),
    ...foreign.map(
      ({ path, fromSeq, toSeq, events, givenTwice }) =>
        `foreign      ${events} good events of another log, seq ${fromSeq} to ${toSeq} of ${path}, left out${givenTwice === 0 ? '' : `; ${givenTwice} of these seqs were given twice`}`,
    ),
    ...report.notCopied.map(({ path, reason }) => `not copied   ${path}: ${reason}`),
    ...(uncertain === null
      ? []
      : [`uncertain    events from seq ${uncertain.fromSeq} on: ${uncertain.reason}`]),
    `result       ${report.isComplete ? 'repaired, nothing lost' : 'repaired, WITH LOSSES'}`,
  ];
  return `${lines.join('\n')}\n`;
}
