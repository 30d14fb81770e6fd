/**
 * What the file log keeps in the progress record (`ring/progress.ts`): where its segment ends, and the
 * one before it, and its time. The log thread writes; any thread reads.
 *
 *   double 0–6   the segment's end, 7–13 that of the one before it:
 *                first seq (0 = none), end bytes, chain, nonce as four 32-bit numbers
 *          14    the log's time, ms; 0 = it has none
 */
import { OWN_DOUBLES } from '../ring/progress.ts';
import { NONCE_BYTES, type SegmentEnd } from './format.ts';

const PREVIOUS_AT = 3 + NONCE_BYTES / 4;
const LAST_TIME_AT = 2 * PREVIOUS_AT;

export interface SegmentEnds {
  readonly segment: SegmentEnd;
  readonly previous: SegmentEnd | undefined;
  /** The log's time so far (log-clock.ts); only there where it has one. */
  readonly lastTimeMs?: number;
}

/** Writes the ends to `own`, or to a fresh record of the log's own numbers; returns that. */
export function packSegmentEnds(
  { segment, previous, lastTimeMs = 0 }: SegmentEnds,
  own = new Float64Array(OWN_DOUBLES),
): Float64Array {
  storeEnd(own, 0, segment);
  storeEnd(own, PREVIOUS_AT, previous);
  own[LAST_TIME_AT] = lastTimeMs;
  return own;
}

export function unpackSegmentEnds(own: Float64Array): SegmentEnds {
  const lastTimeMs = own[LAST_TIME_AT];
  return {
    segment: loadEnd(own, 0) as SegmentEnd,
    previous: loadEnd(own, PREVIOUS_AT),
    ...(lastTimeMs === 0 ? {} : { lastTimeMs }),
  };
}

/** The first seq of the segment that the log writes to, cheaper than all of it. */
export function segmentFirstSeq(own: Float64Array): number {
  return own[0];
}

function storeEnd(record: Float64Array, at: number, end: SegmentEnd | undefined): void {
  record[at] = end?.firstSeq ?? 0;
  if (end === undefined) return;
  record[at + 1] = end.endBytes;
  record[at + 2] = end.chain;
  for (let i = 0; i < NONCE_BYTES / 4; i++) record[at + 3 + i] = end.nonce.readUInt32LE(i * 4);
}

function loadEnd(record: Float64Array, at: number): SegmentEnd | undefined {
  if (record[at] === 0) return undefined;
  const nonce = Buffer.alloc(NONCE_BYTES);
  for (let i = 0; i < NONCE_BYTES / 4; i++) nonce.writeUInt32LE(record[at + 3 + i], i * 4);
  return {
    firstSeq: record[at],
    endBytes: record[at + 1],
    chain: record[at + 2],
    nonce,
  };
}
