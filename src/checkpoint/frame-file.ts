/**
 * Writes one file of a checkpoint, frame by frame, with rests between them. Checkpoint thread; also
 * the command-line tools.
 */
import { join } from 'node:path';
import { type FileHandle, type FileSystem, writeFully } from '../log/file-system.ts';
import { frameBytes, sealFrame } from '../log/format.ts';
import {
  CHECKPOINT_HEADER_BYTES,
  type FileKind,
  type ManifestFile,
  packFileHeader,
} from './format.ts';

/**
 * What is written between two flushes. A flush of a file that grows is a commit of the file system's
 * journal, behind which the log's own flushes wait; a flood of dirty pages would be one too.
 */
const FLUSH_BYTES = 2 << 20;

export interface FrameFileOptions {
  readonly files: FileSystem;
  /** Folder of the checkpoint. */
  readonly folder: string;
  readonly nonce: Buffer;
  readonly nowMs: number;
  /** Called after every frame; paces the work, or throws to give it up. */
  readonly pause: () => void;
}

/** Hands over a frame whose `count` slots stand at `frame[FRAME_HEADER_BYTES…]`; it may be reused. */
export type FrameSink = (frame: Buffer, count: number) => void;

/** Writes the file `name` of the frames that `fill` hands over. Throws what these three throw. */
export function writeFrameFile(
  options: FrameFileOptions,
  name: string,
  kind: FileKind,
  fill: (append: FrameSink) => void,
): ManifestFile {
  const { files, folder, nonce, nowMs, pause } = options;
  const file: FileHandle = files.create(join(folder, name));
  try {
    writeFully(files, file, packFileHeader(nonce, kind), 0, CHECKPOINT_HEADER_BYTES, 0);
    let at = CHECKPOINT_HEADER_BYTES;
    let unflushed = at;
    let entries = 0;
    let chain = 0;
    fill((frame, count) => {
      const header = { firstSeq: entries, count, commitTimeMs: nowMs, nonce };
      chain = sealFrame(frame, { ...header, offsetBytes: at, chain });
      writeFully(files, file, frame, 0, frameBytes(count), at);
      entries += count;
      at += frameBytes(count);
      unflushed += frameBytes(count);
      if (unflushed >= FLUSH_BYTES) {
        files.syncData(file);
        unflushed = 0;
      }
      pause();
    });
    if (unflushed > 0) files.syncData(file);
    return { name, entries, bytes: at, chain };
  } finally {
    files.close(file);
  }
}
