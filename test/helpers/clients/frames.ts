/** Compressed bodies of several frames, streams or members, as tools and shippers make them. Tests only. */
import { Buffer } from 'node:buffer';
import { brotliCompressSync, constants, gzipSync, zstdCompressSync } from 'node:zlib';
import type { Random } from '../models/random.ts';

/** Each coding with how it makes one frame, differently each time where the coding has options. */
export const FRAMES: Readonly<Record<string, (part: Uint8Array, random: Random) => Buffer>> = {
  gzip: (part, random) => gzipSync(part, { level: random.below(10) }),
  br: (part, random) =>
    brotliCompressSync(part, {
      params: {
        [constants.BROTLI_PARAM_QUALITY]: random.below(7),
        [constants.BROTLI_PARAM_LGWIN]: random.integer(10, 24),
      },
    }),
  zstd: (part, random) =>
    zstdCompressSync(part, {
      params: {
        [constants.ZSTD_c_compressionLevel]: random.integer(-5, 6),
        [constants.ZSTD_c_checksumFlag]: random.below(2),
        [constants.ZSTD_c_contentSizeFlag]: random.below(2),
      },
    }),
};

/** A zstd frame that carries `bytes` bytes of somebody's metadata, to be skipped (RFC 8878, 3.1.2). */
export function skippableFrame(bytes: number, kind = 0): Buffer {
  const frame = Buffer.alloc(8 + bytes, 'metadata');
  frame.writeUInt32LE(0x184d2a50 + kind, 0);
  frame.writeUInt32LE(bytes, 4);
  return frame;
}

/** Cuts `bytes` anywhere, into at most `count` pieces; some may be empty. */
export function pieces(bytes: Buffer, count: number, random: Random): Buffer[] {
  const cuts = Array.from({ length: count - 1 }, () => random.integer(0, bytes.length));
  const places = [0, ...cuts.sort((a, b) => a - b), bytes.length];
  return places.slice(1).map((end, i) => bytes.subarray(places[i], end));
}

/** A body of `coding` made of one frame for each part, with metadata frames between those of zstd. */
export function framed(coding: string, parts: readonly Buffer[], random: Random): Buffer[] {
  const frame = FRAMES[coding];
  return parts.flatMap((part) => {
    const own = frame(part, random);
    if (coding !== 'zstd' || random.chance(0.7)) return [own];
    return [skippableFrame(random.below(50), random.below(16)), own];
  });
}
