/**
 * Up to which message of the stream the local log has all events, and the chain there: what is kept of the
 * replica, and the frames behind that. Log thread, at start.
 */
import type { FileSystem } from '../log/file-system.ts';
import { readLog } from '../log/segment-reader.ts';
import { SLOT_BYTES } from '../ring/slot.ts';
import { chainAfter, type ReplicaRecord } from './replica-state.ts';

export interface LocalEnd {
  readonly position: number;
  readonly chain: number;
}

/**
 * Reads the log in `folder`, which ends before `nextSeq`. Throws LogDamagedError, and ForeignLogError where
 * an event came from no stream.
 */
export function localEnd(
  files: FileSystem,
  folder: string,
  record: ReplicaRecord,
  nextSeq: number,
): LocalEnd {
  let { position, chain } = record;
  if (record.nextSeq === nextSeq) return { position, chain };
  readLog(files, folder, record.nextSeq, (slots, first, frame) => {
    const { firstSeq, count } = frame;
    if (firstSeq < record.nextSeq) return;
    if (frame.position <= position) throw new ForeignLogError(firstSeq);
    position = frame.position;
    const bytes = slots.bytes.subarray(first * SLOT_BYTES, (first + count) * SLOT_BYTES);
    chain = chainAfter(chain, position, firstSeq, count, bytes);
  });
  return { position, chain };
}

/** The folder holds a log that was not read from the stream. */
export class ForeignLogError extends Error {
  constructor(seq: number) {
    super(
      `the data folder holds events that came from no stream (seq ${seq}): an instance of a cluster begins with an empty one`,
    );
  }
}
