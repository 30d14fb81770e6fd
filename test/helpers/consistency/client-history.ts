/**
 * What clients of a cluster did and were told, and whether any service that keeps its promises could have told them
 * that. Pure; knows nothing of instances but their names. Tests only.
 *
 * What each read must be by, per product, with T the time that counts for an event (its occurred_at; for products whose
 * events have none, the log's order):
 *  - known     every value read was sent for that product, before the read ended
 *  - whole     a read says its version v. Each field is of an event with seq ≤ v, and no acknowledged event with seq ≤ v
 *              beats it: later in T, or as late and later in seq
 *  - min_seq   likewise with the seq asked for: what was acknowledged up to it is there
 *  - forward   at one instance versions never go back, from one read to a later one, also over its restarts
 *  - one seq   a key has one seq, and a seq one key
 *  - order     who was acknowledged before another was first sent has the lesser seq
 *  - equal     in the end all instances have the same
 * An event that nobody acknowledged may count or not, and its seq is not known: it forbids nothing.
 */

export interface Fields {
  readonly price?: number;
  readonly stock?: number;
}

export interface Write {
  readonly product: string;
  readonly key: string;
  /** No other event has these values. */
  readonly fields: Fields;
  /** `undefined`: it counts when it arrives, and so do all events of that product. */
  readonly occurredAtMs: number | undefined;
  /** When it was sent first. */
  readonly startMs: number;
  /** When it was first acknowledged. */
  endMs: number;
  /** Its seq as each acknowledgement told it; none if there was none. */
  readonly seqs: number[];
}

export interface Read {
  readonly product: string;
  readonly instance: string;
  readonly minSeq: number;
  readonly startMs: number;
  readonly endMs: number;
  /** `undefined`: there is no such product. */
  readonly found: State | undefined;
}

export interface State {
  readonly price: number | null;
  readonly stock: number | null;
  readonly version: number;
}

export interface ClientHistory {
  readonly writes: readonly Write[];
  readonly reads: readonly Read[];
  /** What each instance has in the end, with everything applied that was acknowledged. */
  readonly last: readonly Read[];
}

const FIELDS = ['price', 'stock'] as const;

/** What is wrong with a history, a sentence each; empty if nothing is. */
export function faultsOf(history: ClientHistory): string[] {
  const faults = [...seqFaults(history.writes), ...orderFaults(history.writes)];
  const products = new Map<string, Write[]>();
  for (const write of history.writes) {
    const writes = products.get(write.product);
    if (writes === undefined) products.set(write.product, [write]);
    else writes.push(write);
  }
  for (const read of [...history.reads, ...history.last]) {
    faults.push(...readFaults(read, products.get(read.product) ?? []));
  }
  return [...faults, ...forwardFaults(history.reads), ...equalFaults(history.last)];
}

function seqFaults(writes: readonly Write[]): string[] {
  const faults: string[] = [];
  const keys = new Map<number, string>();
  for (const { key, seqs } of writes) {
    if (new Set(seqs).size > 1) faults.push(`one seq: ${key} was told ${seqs.join(' and ')}`);
    const [seq] = seqs;
    if (seq === undefined) continue;
    const other = keys.get(seq);
    if (other !== undefined) faults.push(`one seq: ${seq} is told of ${other} and ${key}`);
    keys.set(seq, key);
  }
  return faults;
}

/** Goes over all starts and ends in time: whoever starts is later than the latest that has ended. */
function orderFaults(writes: readonly Write[]): string[] {
  const known = writes.filter(({ seqs }) => seqs.length > 0);
  const moments = known.flatMap((write) => [
    { write, ms: write.startMs, isEnd: false },
    { write, ms: write.endMs, isEnd: true },
  ]);
  moments.sort((a, b) => a.ms - b.ms);
  const faults: string[] = [];
  let latest: Write | undefined;
  for (const { write, isEnd } of moments) {
    const seq = write.seqs[0] ?? 0;
    if (isEnd) {
      if (latest === undefined || seq > (latest.seqs[0] ?? 0)) latest = write;
    } else if (latest !== undefined && seq < (latest.seqs[0] ?? 0)) {
      faults.push(
        `order: ${write.key} has ${seq}, and ${latest.key}, there before, ${latest.seqs[0]}`,
      );
    }
  }
  return faults;
}

function readFaults(read: Read, writes: readonly Write[]): string[] {
  const { found, minSeq, instance, product } = read;
  const where = `${product} at ${instance} from ${minSeq} on`;
  if (found === undefined) {
    const there = writes.find(({ seqs: [seq = Number.POSITIVE_INFINITY] }) => seq <= minSeq);
    return there === undefined ? [] : [`min_seq: ${where} is not there, but ${there.key} is`];
  }
  const faults: string[] = [];
  for (const field of FIELDS) {
    const value = found[field];
    const setter = writes.find(({ fields }) => fields[field] === value);
    if (value !== null && (setter === undefined || setter.startMs > read.endMs)) {
      faults.push(`known: ${where} has ${field} ${value}, which nobody had sent`);
      continue;
    }
    const own = setter?.seqs[0];
    if (own !== undefined && own > found.version) {
      faults.push(`whole: ${where} has ${field} of ${own} in version ${found.version}`);
    }
    const until = Math.max(found.version, minSeq);
    for (const write of writes) {
      const seq = write.seqs[0];
      if (seq === undefined || seq > until || write.fields[field] === undefined) continue;
      if (write === setter || (setter !== undefined && !beats(write, setter))) continue;
      const rule = seq <= found.version ? 'whole' : 'min_seq';
      faults.push(`${rule}: ${where}, version ${found.version}, lacks ${field} of ${seq}`);
    }
  }
  return faults;
}

/** Whether `a`, acknowledged, must win over `b`, whoever came first. */
function beats(a: Write, b: Write): boolean {
  if (a.occurredAtMs !== b.occurredAtMs) return (a.occurredAtMs ?? 0) > (b.occurredAtMs ?? 0);
  const [seq = 0] = a.seqs;
  // One that was not acknowledged may have come later.
  return b.seqs[0] !== undefined && seq > b.seqs[0];
}

function forwardFaults(reads: readonly Read[]): string[] {
  const faults: string[] = [];
  const groups = new Map<string, Read[]>();
  for (const read of reads) {
    const name = `${read.product} at ${read.instance}`;
    groups.set(name, [...(groups.get(name) ?? []), read]);
  }
  for (const [name, own] of groups) {
    const byStart = own.toSorted((a, b) => a.startMs - b.startMs);
    const byEnd = own.toSorted((a, b) => a.endMs - b.endMs);
    let seen = 0;
    let ended = 0;
    for (const { startMs, found } of byStart) {
      for (; ended < byEnd.length && (byEnd[ended]?.endMs ?? 0) < startMs; ended++) {
        seen = Math.max(seen, byEnd[ended]?.found?.version ?? 0);
      }
      const version = found?.version ?? 0;
      if (version < seen) faults.push(`forward: ${name} went back from ${seen} to ${version}`);
    }
  }
  return faults;
}

function equalFaults(last: readonly Read[]): string[] {
  const faults: string[] = [];
  const first = new Map<string, Read>();
  for (const read of last) {
    const other = first.get(read.product);
    if (other === undefined) first.set(read.product, read);
    else if (JSON.stringify(other.found) !== JSON.stringify(read.found)) {
      const said = [other, read].map(
        ({ instance, found }) => `${instance} ${JSON.stringify(found)}`,
      );
      faults.push(`equal: ${read.product} is ${said.join(' and ')}`);
    }
  }
  return faults;
}
