/**
 * The file `newest` beside the segments: names the newest one, so that its loss is noticed. It is
 * written after a segment's name is durable and before the first frame goes there; so it never
 * names one that a crash could have taken back, and never misses one with acknowledged events.
 * Without the file (it was lost) nothing is known, and the next segment writes it anew.
 */
import { join } from 'node:path';
import { crc32 } from 'node:zlib';
import { type FileSystem, readFully, writeFully } from './file-system.ts';

export const NEWEST_NAME = 'newest';
const TEMPORARY_NAME = 'newest.tmp';
/** More than its one line ever has. */
const BYTES_MAX = 64;

export function newestPath(folder: string): string {
  return join(folder, NEWEST_NAME);
}

/** First seq of the newest segment, `undefined` without the file, or what is wrong with it. */
export function readNewest(files: FileSystem, folder: string): number | string | undefined {
  if (!files.list(folder).includes(NEWEST_NAME)) return undefined;
  const bytes = Buffer.alloc(BYTES_MAX);
  const file = files.openForReading(newestPath(folder));
  let got: number;
  try {
    got = readFully(files, file, bytes, 0, BYTES_MAX, 0);
  } finally {
    files.close(file);
  }
  const text = bytes.toString('latin1', 0, got);
  const seq = Number(text.split(' ')[0]);
  return text === line(seq) ? seq : 'its line does not match its checksum';
}

/** Says durably that the segment that starts with `firstSeq` is the newest. */
export function writeNewest(files: FileSystem, folder: string, firstSeq: number): void {
  const bytes = Buffer.from(line(firstSeq), 'latin1');
  const file = files.create(join(folder, TEMPORARY_NAME));
  try {
    writeFully(files, file, bytes, 0, bytes.length, 0);
    files.syncData(file);
  } finally {
    files.close(file);
  }
  files.rename(join(folder, TEMPORARY_NAME), newestPath(folder));
  files.syncFolder(folder);
}

function line(seq: number): string {
  return `${seq} ${crc32(String(seq)).toString(16).padStart(8, '0')}\n`;
}
