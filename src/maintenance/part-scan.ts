/**
 * Everything there is to know about one part of a checkpoint: it is read to its end, past damage, and
 * the entries of blocks that prove whole can be taken out even when others do not. Reads only.
 */
import { join } from 'node:path';
import { crc32 } from 'node:zlib';
import {
  blocksOf,
  checkPartHeader,
  PART_HEADER_BYTES,
  type PartHeader,
  type PartName,
  partFileName,
  tailBytes,
  tailOffset,
  unpackPartHeader,
} from '../checkpoint/part-format.ts';
import { lastSeqOf } from '../checkpoint/reader.ts';
import type { FileSystem } from '../log/file-system.ts';
import { ENTRY_BYTES } from '../store/shard.ts';
import type { CheckpointScan, ScanVisitor } from './checkpoint-scan.ts';
import { type Fault, LoadedFile } from './loaded-file.ts';

/** Scans one part; `undefined` when it is not there any more. */
export function scanPart(
  files: FileSystem,
  folder: string,
  part: PartName,
): CheckpointScan | undefined {
  const path = join(folder, partFileName(part));
  const file = LoadedFile.load(files, path);
  if (file === undefined) return undefined;
  const { faults, header, entries, lastSeq } = scanFile(file, part, {});
  return {
    path,
    headPath: path,
    replayFrom: part.replayFrom,
    part,
    isWindows: false,
    isWhole: faults.length === 0,
    log: header?.log,
    files: 1,
    bytes: file.bytes.length,
    entries,
    lastSeq: faults.length === 0 ? Math.max(lastSeq, (header?.outcomesEnd ?? 1) - 1) : lastSeq,
    faults,
    unknown: [],
    visit: (visitor) => {
      const again = LoadedFile.load(files, path);
      if (again !== undefined) scanFile(again, part, visitor);
    },
  };
}

interface FileScan {
  readonly faults: readonly Fault[];
  /** `undefined` = damaged. */
  readonly header: PartHeader | undefined;
  /** In blocks that proved whole. */
  readonly entries: number;
  /** Of these. */
  readonly lastSeq: number;
}

function scanFile(file: LoadedFile, part: PartName, visitor: ScanVisitor): FileScan {
  const { bytes, path } = file;
  const faults: Fault[] = [...file.faults];
  const fault = (offsetBytes: number, lengthBytes: number, reason: string) =>
    faults.push({ path, offsetBytes, lengthBytes, reason });
  const nothing = { faults, header: undefined, entries: 0, lastSeq: 0 };
  const header = unpackPartHeader(bytes.subarray(0, PART_HEADER_BYTES));
  const wrong = typeof header === 'string' ? header : checkPartHeader(header, part);
  if (typeof header === 'string' || wrong !== undefined) {
    // Without it nobody knows how many entries there are, and what proves them.
    fault(0, bytes.length, wrong ?? '');
    return nothing;
  }
  const tailAt = tailOffset(header);
  const end = tailAt + tailBytes(header);
  if (bytes.length !== end) {
    fault(Math.min(bytes.length, end), 0, `${bytes.length} bytes, the header says ${end}`);
  }
  const tail = bytes.subarray(tailAt, end);
  if (tail.length !== end - tailAt || crc32(tail) !== header.tailCrc) {
    fault(tailAt, end - tailAt, 'the checksums do not match their checksum');
    return { ...nothing, header };
  }
  let entries = 0;
  let lastSeq = 0;
  for (let block = 0; block < blocksOf(header); block++) {
    const first = block * header.blockEntries;
    const count = Math.min(header.blockEntries, header.entries - first);
    const at = PART_HEADER_BYTES + first * ENTRY_BYTES;
    const length = count * ENTRY_BYTES;
    if (crc32(bytes.subarray(at, at + length)) !== tail.readUInt32LE(block * 4)) {
      fault(at, length, 'the entries do not match their checksum');
      continue;
    }
    const { slots, first: slot } = file.slotsAt(at);
    lastSeq = Math.max(lastSeq, lastSeqOf(slots, slot, count));
    entries += count;
    visitor.entries?.(slots, slot, count);
  }
  return { faults, header, entries, lastSeq };
}
