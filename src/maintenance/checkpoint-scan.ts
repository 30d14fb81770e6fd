/**
 * Everything there is to know about one whole checkpoint of format 1, or about windows: every file is
 * read to its end, past damage, and the entries of frames that prove whole can be taken out even when
 * others do not. part-scan.ts does the same for a part. Reads only.
 */
import { join } from 'node:path';
import {
  CHECKPOINT_HEADER_BYTES,
  checkFileHeader,
  checkpointName,
  DEDUPE_FILE_NAME,
  DEDUPE_KIND,
  type FileKind,
  filesOf,
  MANIFEST_NAME,
  type Manifest,
  type ManifestFile,
  OUTCOMES_FILE_NAME,
  OUTCOMES_KIND,
  RECEIPTS_FILE_NAME,
  RECEIPTS_KIND,
  shardKind,
  unpackManifest,
  windowsName,
} from '../checkpoint/format.ts';
import type { PartName } from '../checkpoint/part-format.ts';
import { type CheckpointVisitor, lastSeqOf } from '../checkpoint/reader.ts';
import { keysIn } from '../checkpoint/windows.ts';
import type { FileSystem } from '../log/file-system.ts';
import { checkFrame, FRAME_HEADER_BYTES, NONCE_BYTES } from '../log/format.ts';
import type { LogIdentity } from '../log/log-identity.ts';
import type { SlotViews } from '../ring/slot.ts';
import { walkFrames } from './frame-walk.ts';
import { type Fault, LoadedFile } from './loaded-file.ts';

export type ScanVisitor = Partial<Pick<CheckpointVisitor, 'entries' | 'keys' | 'receipts'>>;

export interface CheckpointScan {
  readonly path: string;
  /** Where the faults are that concern all of it. */
  readonly headPath: string;
  /** As the name says it. */
  readonly replayFrom: number;
  /** Which part it is; `undefined` = windows, or a whole checkpoint. */
  readonly part: PartName | undefined;
  /** Whether there are no products in it. */
  readonly isWindows: boolean;
  /** Whether it can be used as it is; else its good entries at the most. */
  readonly isWhole: boolean;
  /** The log it was taken beside; `undefined` = not known. */
  readonly log: LogIdentity | undefined;
  readonly files: number;
  readonly bytes: number;
  /** Entries in frames that proved whole. */
  readonly entries: number;
  /** The highest seq that it knows of; 0 = none. All events up to it were in the log. */
  readonly lastSeq: number;
  readonly faults: readonly Fault[];
  /** Files that the manifest does not name. */
  readonly unknown: readonly string[];
  /** Reads it again, and hands out every entry and every run of keys that proves whole. */
  readonly visit: (visitor: ScanVisitor) => void;
}

export function scanWindows(files: FileSystem, folder: string, replayFrom: number): CheckpointScan {
  const path = join(folder, windowsName(replayFrom));
  const visit = (visitor: ScanVisitor) => void scanFolder(files, path, replayFrom, visitor);
  return { ...scanFolder(files, path, replayFrom, {}), isWindows: true, visit };
}

/** Scans one whole checkpoint. */
export function scanCheckpoint(
  files: FileSystem,
  folder: string,
  replayFrom: number,
): CheckpointScan {
  const path = join(folder, checkpointName(replayFrom));
  const visit = (visitor: ScanVisitor) => void scanFolder(files, path, replayFrom, visitor);
  return { ...scanFolder(files, path, replayFrom, {}), isWindows: false, visit };
}

function scanFolder(
  files: FileSystem,
  path: string,
  replayFrom: number,
  visitor: ScanVisitor,
): Omit<CheckpointScan, 'isWindows' | 'visit'> {
  const names = files.list(path);
  const manifestPath = join(path, MANIFEST_NAME);
  const manifest = readManifest(files, manifestPath, replayFrom);
  const faults: Fault[] = [];
  let bytes = 0;
  let entries = 0;
  let lastSeq = 0;
  if (typeof manifest === 'string') {
    faults.push({ path: manifestPath, offsetBytes: 0, lengthBytes: 0, reason: manifest });
  }
  const known = typeof manifest === 'string' ? undefined : manifest;
  const nonce = known === undefined ? undefined : Buffer.from(known.nonce, 'hex');
  const expected = known === undefined ? names.flatMap(fileOfName) : filesOf(known);
  for (const said of expected) {
    const file = LoadedFile.load(files, join(path, said.name));
    if (file === undefined) {
      const reason = 'the file is missing';
      const lengthBytes = 'bytes' in said ? said.bytes : 0;
      faults.push({ path: join(path, said.name), offsetBytes: 0, lengthBytes, reason });
      continue;
    }
    const { content } = said.kind;
    const scan = scanFile(file, said, nonce, (slots, first, count) => {
      if (content === DEDUPE_KIND.content) {
        const keys = keysIn(slots, first, count);
        visitor.keys?.(keys.entries, keys.count);
      } else if (content === RECEIPTS_KIND.content) visitor.receipts?.(slots, first, count);
      else if (content !== OUTCOMES_KIND.content) {
        lastSeq = Math.max(lastSeq, lastSeqOf(slots, first, count));
        entries += count;
        visitor.entries?.(slots, first, count);
      }
    });
    bytes += file.bytes.length;
    faults.push(...file.faults, ...scan);
  }
  return {
    path,
    headPath: manifestPath,
    replayFrom,
    part: undefined,
    isWhole: known !== undefined && faults.length === 0,
    log: known?.log,
    files: expected.length,
    bytes,
    entries,
    lastSeq: Math.max(lastSeq, (known?.outcomes?.endSeq ?? 1) - 1),
    faults,
    unknown: names.filter(
      (name) => name !== MANIFEST_NAME && !expected.some((said) => said.name === name),
    ),
  };
}

function readManifest(files: FileSystem, path: string, replayFrom: number): Manifest | string {
  const file = LoadedFile.load(files, path);
  if (file === undefined) return 'the manifest is missing';
  if (file.faults[0] !== undefined) return file.faults[0].reason;
  const manifest = unpackManifest(file.bytes);
  if (typeof manifest === 'string' || manifest.replayFrom === replayFrom) return manifest;
  return `it belongs to seq ${manifest.replayFrom}`;
}

/** A file to look for; what the manifest says of it, if there is one. */
type ExpectedFile = (ManifestFile | Pick<ManifestFile, 'name'>) & { readonly kind: FileKind };

/** What a file is by its name, when there is no manifest to say it. */
function fileOfName(name: string): ExpectedFile[] {
  if (name === DEDUPE_FILE_NAME) return [{ name, kind: DEDUPE_KIND }];
  if (name === RECEIPTS_FILE_NAME) return [{ name, kind: RECEIPTS_KIND }];
  if (name === OUTCOMES_FILE_NAME) return [{ name, kind: OUTCOMES_KIND }];
  const shard = /^shard-(\d{4})\.ckp$/.exec(name)?.[1];
  return shard === undefined ? [] : [{ name, kind: shardKind(Number(shard)) }];
}

/** Returns the faults; without the manifest's nonce, the file's own header must do. */
function scanFile(
  file: LoadedFile,
  said: ExpectedFile,
  saidNonce: Buffer | undefined,
  visit: (slots: SlotViews, first: number, count: number) => void,
): Fault[] {
  const { bytes, path } = file;
  const faults: Fault[] = [];
  const fault = (offsetBytes: number, lengthBytes: number, reason: string) =>
    faults.push({ path, offsetBytes, lengthBytes, reason });
  const nonce = saidNonce ?? Buffer.from(bytes.subarray(16, 16 + NONCE_BYTES));
  const wrongHeader = checkFileHeader(bytes, nonce, said.kind);
  if (wrongHeader !== undefined) {
    fault(0, CHECKPOINT_HEADER_BYTES, wrongHeader);
    // Without a manifest nothing vouches for the nonce, so the frames prove nothing.
    if (saidNonce === undefined) return faults;
  }
  const walk = walkFrames({
    file,
    from: CHECKPOINT_HEADER_BYTES,
    to: bytes.length,
    nonce,
    chain: 0,
    firstSeq: 0,
    mayBeTorn: false,
  });
  faults.push(...walk.faults);
  if ('bytes' in said && bytes.length !== said.bytes) {
    fault(bytes.length, 0, `${bytes.length} bytes, the manifest says ${said.bytes}`);
  } else if ('bytes' in said && walk.faults.length === 0) {
    const isAsSaid = walk.endSeq === said.entries && (walk.chain ?? 0) === said.chain;
    if (!isAsSaid) fault(walk.endBytes, 0, `${walk.endSeq} entries, not the manifest's`);
  }
  for (const run of walk.runs) {
    for (let at = run.offsetBytes; at < run.endBytes; ) {
      const frame = checkFrame(bytes, at, nonce);
      if (typeof frame === 'string') break;
      const { slots, first } = file.slotsAt(at + FRAME_HEADER_BYTES);
      visit(slots, first, frame.count);
      at += frame.bytes;
    }
  }
  return faults;
}
