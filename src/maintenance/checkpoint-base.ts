/**
 * What of the checkpoints in a data folder makes up a state of all products: one whole checkpoint of
 * format 1, or a part for each shard, of one key. Pure.
 */
import type { CheckpointScan } from './checkpoint-scan.ts';

export interface CheckpointBase {
  /** Events before it need not be replayed; keys of events before it may not be known without windows. */
  readonly replayFrom: number;
  readonly scans: readonly CheckpointScan[];
}

/**
 * All there are of these scans, in which newer ones come first: those that know all keys first, the
 * newest of them first.
 */
export function basesOf(scans: readonly CheckpointScan[]): CheckpointBase[] {
  const windows = scans.find(({ isWindows }) => isWindows);
  const whole = scans
    .filter(({ part, isWindows }) => part === undefined && !isWindows)
    .map((scan) => ({ replayFrom: scan.replayFrom, scans: [scan] }));
  const sets = partSets(scans).map((parts) => {
    const all = windows === undefined ? parts : [...parts, windows];
    return { replayFrom: Math.min(...all.map(({ replayFrom }) => replayFrom)), scans: all };
  });
  const byAge = (a: CheckpointBase, b: CheckpointBase) => b.replayFrom - a.replayFrom;
  if (windows === undefined) return [...whole.sort(byAge), ...sets.sort(byAge)];
  return [...whole, ...sets].sort(byAge);
}

/** The newest part of each shard, of each key and number of shards that has all of them. */
function partSets(scans: readonly CheckpointScan[]): CheckpointScan[][] {
  const sets = new Map<string, Map<number, CheckpointScan>>();
  for (const scan of scans) {
    if (scan.part === undefined) continue;
    const { keyName, shards, shard } = scan.part;
    const id = `${keyName} ${shards}`;
    const set = sets.get(id) ?? new Map<number, CheckpointScan>();
    sets.set(id, set);
    if (!set.has(shard)) set.set(shard, scan);
  }
  return [...sets]
    .filter(([id, set]) => set.size === Number(id.split(' ')[1]))
    .map(([, set]) => [...set.values()]);
}
