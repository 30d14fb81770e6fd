/**
 * Everything there is to know about one checkpoint: every file is read to its end, past damage, and
 * the entries of frames that prove whole can be taken out even when others do not. Reads only.
 */
import { join } from 'node:path';
import {
  CHECKPOINT_HEADER_BYTES,
  checkpointName,
  checkShardFileHeader,
  MANIFEST_NAME,
  type Manifest,
  type ManifestFile,
  unpackManifest,
} from '../checkpoint/format.ts';
import { type EntriesVisitor, lastSeqOf } from '../checkpoint/reader.ts';
import type { FileSystem } from '../log/file-system.ts';
import { checkFrame, FRAME_HEADER_BYTES, NONCE_BYTES } from '../log/format.ts';
import { walkFrames } from './frame-walk.ts';
import { type Fault, LoadedFile } from './loaded-file.ts';

export interface CheckpointScan {
  readonly path: string;
  /** As the folder's name says it. */
  readonly replayFrom: number;
  /** `undefined` = missing or damaged. */
  readonly manifest: Manifest | undefined;
  readonly files: number;
  readonly bytes: number;
  /** Entries in frames that proved whole. */
  readonly entries: number;
  /** The highest seq among them; 0 = none. All events up to it were in the log. */
  readonly lastSeq: number;
  readonly faults: readonly Fault[];
  /** Files that the manifest does not name. */
  readonly unknown: readonly string[];
}

/** Scans one checkpoint, and hands out every entry that proves whole. */
export function scanCheckpoint(
  files: FileSystem,
  folder: string,
  replayFrom: number,
  visit: EntriesVisitor = () => undefined,
): CheckpointScan {
  const path = join(folder, checkpointName(replayFrom));
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
  const isKnown = typeof manifest !== 'string';
  const shards = isKnown ? manifest.files.map(({ name }) => name) : names.filter(isShardFile);
  for (const [i, name] of shards.entries()) {
    const said = isKnown ? manifest.files[i] : undefined;
    const file = LoadedFile.load(files, join(path, name));
    if (file === undefined) {
      const reason = 'the file is missing';
      faults.push({
        path: join(path, name),
        offsetBytes: 0,
        lengthBytes: said?.bytes ?? 0,
        reason,
      });
      continue;
    }
    const nonce = isKnown ? Buffer.from(manifest.nonce, 'hex') : undefined;
    const scan = scanShardFile(
      file,
      said,
      said === undefined ? shardOfName(name) : i,
      nonce,
      visit,
    );
    bytes += file.bytes.length;
    entries += scan.entries;
    lastSeq = Math.max(lastSeq, scan.lastSeq);
    faults.push(...file.faults, ...scan.faults);
  }
  return {
    path,
    replayFrom,
    manifest: isKnown ? manifest : undefined,
    files: shards.length,
    bytes,
    entries,
    lastSeq,
    faults,
    unknown: names.filter((name) => name !== MANIFEST_NAME && !shards.includes(name)),
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

function isShardFile(name: string): boolean {
  return /^shard-\d{4}\.ckp$/.test(name);
}

function shardOfName(name: string): number {
  return Number(name.slice('shard-'.length, 'shard-0000'.length));
}

/** `said` and `saidNonce` are the manifest's words; without one, the file's own header must do. */
function scanShardFile(
  file: LoadedFile,
  said: ManifestFile | undefined,
  shard: number,
  saidNonce: Buffer | undefined,
  visit: EntriesVisitor,
): Pick<CheckpointScan, 'entries' | 'lastSeq' | 'faults'> {
  const { bytes, path } = file;
  const faults: Fault[] = [];
  const fault = (offsetBytes: number, lengthBytes: number, reason: string) =>
    faults.push({ path, offsetBytes, lengthBytes, reason });
  const nonce = saidNonce ?? Buffer.from(bytes.subarray(16, 16 + NONCE_BYTES));
  const wrongHeader = checkShardFileHeader(bytes, nonce, shard);
  if (wrongHeader !== undefined) {
    fault(0, CHECKPOINT_HEADER_BYTES, wrongHeader);
    // Without a manifest nothing vouches for the nonce, so the frames prove nothing.
    if (said === undefined) return { entries: 0, lastSeq: 0, faults };
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
  if (said !== undefined && bytes.length !== said.bytes) {
    fault(bytes.length, 0, `${bytes.length} bytes, the manifest says ${said.bytes}`);
  } else if (said !== undefined && walk.faults.length === 0) {
    const isAsSaid = walk.endSeq === said.entries && (walk.chain ?? 0) === said.chain;
    if (!isAsSaid) fault(walk.endBytes, 0, `${walk.endSeq} entries, not the manifest's`);
  }
  let entries = 0;
  let lastSeq = 0;
  for (const run of walk.runs) {
    for (let at = run.offsetBytes; at < run.endBytes; ) {
      const frame = checkFrame(bytes, at, nonce);
      if (typeof frame === 'string') break;
      const { slots, first } = file.slotsAt(at + FRAME_HEADER_BYTES);
      lastSeq = Math.max(lastSeq, lastSeqOf(slots, first, frame.count));
      visit(slots, first, frame.count);
      entries += frame.count;
      at += frame.bytes;
    }
  }
  return { entries, lastSeq, faults };
}
