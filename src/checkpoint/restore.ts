/**
 * Brings back what checkpoints hold: for each shard its newest part that proves whole, and the newest
 * windows. Decides from where the log must be replayed. Log thread at start; also the tools.
 * (Over 300 lines: which file serves is decided by what the files before it have given.)
 *
 *   parts of this key and number of shards    → as they lie, straight into the shards' memory
 *   where one of these is missing: the base   → entry by entry (store/shard-restorer.ts), the newest of
 *     parts of another key or number of shards, a whole set and the windows
 *     a whole checkpoint of format 1
 *     nothing: then the log must reach back to its beginning
 *
 * Every entry of a block that proves whole is a true state of its product, complete up to the entry's
 * seq. So what was taken in from a file that proves damaged further on, or from a base beside newer
 * parts, is never wrong: of two states the later one stays, and the replay brings the rest. A shard's
 * own memory, though, is emptied when its part is damaged, for the next one to lie there.
 */
import { join } from 'node:path';
import type { FileSystem } from '../log/file-system.ts';
import type { LogIdentity } from '../log/log-identity.ts';
import { SLOT_BYTES, SlotViews } from '../ring/slot.ts';
import { NoRoomError } from '../store/no-room-error.ts';
import type { ClaimedShard, RestoreBoard } from '../store/restore-board.ts';
import { ENTRY_BYTES, ENTRY_UPDATED_AT, ENTRY_WORDS, type Shard } from '../store/shard.ts';
import { clearImage, imageMemory, indexImage } from '../store/shard-image.ts';
import type { HashKey } from '../threads/shared-memory.ts';
import { checkpointName, windowsName } from './format.ts';
import {
  type BlockTarget,
  listParts,
  type PartSet,
  type ReadPart,
  readPart,
  readTail,
  setsOf,
} from './part-files.ts';
import { BLOCK_ENTRIES, keyNameOf, type PartName, partFileName } from './part-format.ts';
import {
  type CheckpointFault,
  type CheckpointVisitor,
  checkCheckpoint,
  lastSeqOf,
  listCheckpoints,
  listWindows,
  readCheckpoint,
  type ValidCheckpoint,
} from './reader.ts';
import type { KnownOutcomes } from './windows.ts';

/** The shards' own memory, where parts of this key can lie as they are. */
export interface ImageTarget {
  readonly shards: readonly Shard[];
  readonly key: HashKey;
  /** All events of `shard` before `seq` are in it, as they lay in a part. */
  readonly restored: (shard: number, seq: number) => void;
  /** Called now and then; throws to give it up. */
  readonly look: () => void;
  /** Where others find what they can help with; it is closed afterwards. */
  readonly board: RestoreBoard;
}

export interface RestoreOptions {
  readonly files: FileSystem;
  /** Folder of the checkpoints. */
  readonly folder: string;
  /** `undefined` = everything entry by entry. */
  readonly image: ImageTarget | undefined;
  readonly visitor: Pick<CheckpointVisitor, 'entries' | 'keys' | 'receipts'> & {
    /** Keys and receipts of all events before `seq` were handed out. */
    readonly windowsBefore?: (seq: number) => void;
  };
  /** Something is damaged, and something older serves instead. */
  readonly onDamaged: (name: string, replayFrom: number, fault: CheckpointFault) => void;
  /** That much was read. */
  readonly onBytes: (bytes: number) => void;
}

/** Something that was used, and the log that it belongs to. */
export interface UsedPart {
  readonly replayFrom: number;
  readonly log: LogIdentity | undefined;
}

export interface Restored {
  /** The log must be replayed from this seq; 1 = from its beginning. */
  readonly replayFrom: number;
  readonly used: readonly UsedPart[];
  readonly products: number;
  /** Of these, those that were restored entry by entry. */
  readonly converted: number;
  /** The highest seq that is known of: the log must have it. */
  readonly lastSeq: number;
  /** The latest commit time of all entries, ms; 0 = none. */
  readonly lastTimeMs: number;
  readonly outcomes: readonly KnownOutcomes[];
  /** The first damage found, if something is missing because of it. */
  readonly damage: CheckpointFault | undefined;
}

/** What is likely to be read: bytes of checkpoints, and the log from which seq on. */
export function expectedReading(
  files: FileSystem,
  folder: string,
): { readonly bytes: number; readonly replayFrom: number } {
  const size = (path: string) => {
    const file = files.openForReading(path);
    try {
      return files.size(file);
    } finally {
      files.close(file);
    }
  };
  for (const { byShard } of setsOf(listParts(files, folder))) {
    const newest = byShard.map(([first]) => first).filter((part) => part !== undefined);
    if (newest.length < byShard.length) continue;
    return {
      bytes: newest.reduce((sum, part) => sum + size(join(folder, partFileName(part))), 0),
      replayFrom: Math.min(
        listWindows(files, folder)[0] ?? 1,
        ...newest.map(({ replayFrom }) => replayFrom),
      ),
    };
  }
  const whole = listCheckpoints(files, folder)[0];
  if (whole === undefined) return { bytes: 0, replayFrom: 1 };
  const path = join(folder, checkpointName(whole));
  const shards = files.list(path).filter((name) => name.startsWith('shard-'));
  return {
    bytes: shards.reduce((sum, name) => sum + size(join(path, name)), 0),
    replayFrom: whole,
  };
}

/** Restores all that can be. Throws what the file system and the visitor throw, and NoRoomError. */
export function restoreCheckpoints(options: RestoreOptions): Restored {
  return new Restorer(options).restore();
}

interface ImageOptions extends Pick<RestoreOptions, 'files' | 'folder' | 'onBytes'> {
  readonly image: Pick<ImageTarget, 'shards' | 'key' | 'look' | 'board'>;
}

/** Restores a shard that was claimed from the board, and settles it. Throws what `look` throws. */
export function restoreClaimed(
  options: ImageOptions,
  { shard, replayFrom, isDirty }: ClaimedShard,
): void {
  const { shards, key, board } = options.image;
  const memory = shards[shard];
  if (isDirty) clearImage(memory, memory.entries);
  const name = { keyName: keyNameOf(key), shards: shards.length, shard, replayFrom };
  // Why it failed is found out by the log thread, which tries again.
  board.settle(shard, !('reason' in readImage(options, name)));
}

/** Reads one part into its shard; what is wrong with it if it is damaged, and then the shard is empty. */
function readImage(
  { files, folder, onBytes, image }: ImageOptions,
  name: PartName,
): ReadPart | CheckpointFault {
  const shard = image.shards[name.shard];
  let asked = 0;
  const read = readPart(files, folder, name, {
    memory: (first, count) => {
      image.look();
      if (first + count > shard.entries) throw new NoRoomError();
      asked = first + count;
      return imageMemory(shard, first, count);
    },
    accepted: (first, count) => {
      indexImage(shard, first, count, name.replayFrom);
      onBytes(count * ENTRY_BYTES);
    },
  });
  if ('reason' in read) clearImage(shard, asked);
  return read;
}

const NO_WINDOWS = { keys: () => undefined, receipts: () => undefined };

/** The latest commit time among `count` entries from index `first` on. */
function lastTimeOf({ doubles }: SlotViews, first: number, count: number): number {
  let last = 0;
  for (let i = first; i < first + count; i++) {
    const at = doubles[(i * ENTRY_WORDS + ENTRY_UPDATED_AT) >> 1];
    if (at > last) last = at;
  }
  return last;
}

class Restorer {
  readonly #options: RestoreOptions;
  readonly #sets: readonly PartSet[];
  readonly #used: UsedPart[] = [];
  readonly #outcomes: KnownOutcomes[] = [];
  #products = 0;
  #converted = 0;
  #lastSeq = 0;
  #lastTimeMs = 0;
  #damage: CheckpointFault | undefined;

  constructor(options: RestoreOptions) {
    this.#options = options;
    this.#sets = setsOf(listParts(options.files, options.folder));
  }

  restore(): Restored {
    const isMissing = this.#restoreImages();
    const hasWindows = this.#restoreWindows();
    const isWhole = hasWindows && !isMissing;
    const hasBase = isWhole || this.#restoreBase(hasWindows);
    this.#readOutcomes();
    const seqs = this.#used.map(({ replayFrom }) => replayFrom);
    return {
      replayFrom: hasBase ? Math.min(...seqs) : 1,
      used: this.#used,
      products: this.#products,
      converted: this.#converted,
      lastSeq: this.#lastSeq,
      lastTimeMs: this.#lastTimeMs,
      outcomes: this.#outcomes,
      damage: hasBase ? undefined : this.#damage,
    };
  }

  /** Whether a shard is left without a part. */
  #restoreImages(): boolean {
    const { image } = this.#options;
    if (image === undefined) return true;
    const { shards, key, board } = image;
    const present = this.#sets.find(
      (set) => set.keyName === keyNameOf(key) && set.shards === shards.length,
    );
    const own = new Set<number>();
    board.open(shards.map((_, shard) => present?.byShard[shard]?.[0]?.replayFrom ?? 0));
    try {
      do {
        for (let claimed = board.claim(); claimed !== undefined; claimed = board.claim()) {
          own.add(claimed.shard);
          restoreClaimed({ ...this.#options, image }, claimed);
        }
        image.look();
      } while (!board.isSettled());
    } finally {
      board.close();
    }
    let isMissing = false;
    for (let shard = 0; shard < shards.length; shard++) {
      const parts = present?.byShard[shard] ?? [];
      const [newest] = parts;
      if (newest !== undefined && board.isDone(shard)) {
        this.#noteImage(image, newest, own.has(shard));
      } else if (!parts.some((part) => this.#restoreImage(image, part))) isMissing = true;
    }
    return isMissing;
  }

  /** The part is in the shard's memory. */
  #noteImage(image: ImageTarget, name: PartName, isOwn: boolean): void {
    const { files, folder, onBytes } = this.#options;
    const read = readTail(files, folder, name);
    if ('reason' in read) throw new Error(`${read.path}: ${read.reason}, since it was read`);
    if (!isOwn) onBytes(read.header.entries * ENTRY_BYTES);
    image.restored(name.shard, name.replayFrom);
    this.#notePart(read);
  }

  #restoreImage(image: ImageTarget, name: PartName): boolean {
    const read = readImage({ ...this.#options, image }, name);
    if ('reason' in read) {
      this.#noteDamage(partFileName(name), name.replayFrom, read);
      return false;
    }
    image.restored(name.shard, name.replayFrom);
    this.#notePart(read);
    return true;
  }

  /** Whether there were any. */
  #restoreWindows(): boolean {
    const { files, folder, visitor } = this.#options;
    for (const replayFrom of listWindows(files, folder)) {
      const name = windowsName(replayFrom);
      const checked = checkCheckpoint(files, folder, replayFrom, name);
      if ('reason' in checked) this.#noteDamage(name, replayFrom, checked);
      else {
        this.#readChecked(checked, visitor);
        return true;
      }
    }
    return false;
  }

  /** Whether there was one that has all that is missing; without windows of their own, parts have not. */
  #restoreBase(hasWindows: boolean): boolean {
    const { files, folder, image, visitor } = this.#options;
    const isPresent = ({ keyName, shards }: PartSet) =>
      image !== undefined && keyName === keyNameOf(image.key) && shards === image.shards.length;
    const sets = this.#sets.filter((set) => hasWindows && !isPresent(set));
    const bases = [
      ...sets.map((set) => ({
        replayFrom: Math.min(...set.byShard.map(([newest]) => newest?.replayFrom ?? 0)),
        restore: () => this.#restoreSet(set),
      })),
      ...listCheckpoints(files, folder).map((replayFrom) => ({
        replayFrom,
        restore: () => {
          const checked = checkCheckpoint(files, folder, replayFrom);
          if ('reason' in checked) {
            this.#noteDamage(checkpointName(replayFrom), replayFrom, checked);
            return false;
          }
          // Newer windows have all of its keys and receipts that count.
          this.#readChecked(checked, hasWindows ? NO_WINDOWS : visitor);
          return true;
        },
      })),
    ];
    bases.sort((a, b) => b.replayFrom - a.replayFrom);
    return bases.some(({ replayFrom, restore }) => replayFrom > 0 && restore());
  }

  #restoreSet(set: PartSet): boolean {
    const { files, folder } = this.#options;
    const target = new EntriesTarget(this.#options);
    const found: ReadPart[] = [];
    const isWhole = set.byShard.every((parts) =>
      parts.some((name) => {
        const read = readPart(files, folder, name, target);
        if ('reason' in read) {
          this.#noteDamage(partFileName(name), name.replayFrom, read);
          return false;
        }
        found.push(read);
        return true;
      }),
    );
    if (!isWhole) return false;
    for (const part of found) {
      this.#notePart(part);
      this.#converted += part.header.entries;
    }
    return true;
  }

  #readChecked(
    checked: ValidCheckpoint,
    windows: Pick<RestoreOptions['visitor'], 'keys' | 'receipts' | 'windowsBefore'>,
  ): void {
    const { files, visitor, onBytes } = this.#options;
    const { manifest } = checked;
    readCheckpoint(files, checked, {
      entries: (entries, first, count) => {
        this.#lastSeq = Math.max(this.#lastSeq, lastSeqOf(entries, first, count));
        this.#lastTimeMs = Math.max(this.#lastTimeMs, lastTimeOf(entries, first, count));
        visitor.entries(entries, first, count);
        onBytes(count * ENTRY_BYTES);
      },
      keys: (entries, count) => windows.keys(entries, count),
      receipts: (slots, first, count) => windows.receipts(slots, first, count),
      outcomes: (firstSeq, bytes) => this.#outcomes.push({ firstSeq, bytes }),
    });
    this.#products += manifest.entries;
    this.#converted += manifest.entries;
    this.#lastSeq = Math.max(this.#lastSeq, (manifest.outcomes?.endSeq ?? 1) - 1);
    this.#used.push({ replayFrom: manifest.replayFrom, log: manifest.log });
    windows.windowsBefore?.(manifest.replayFrom);
  }

  /** All parts hold outcomes, also those that were not needed otherwise. */
  #readOutcomes(): void {
    const { files, folder } = this.#options;
    for (const name of this.#sets.flatMap(({ byShard }) => byShard.flat())) {
      const read = readTail(files, folder, name);
      if ('reason' in read) continue;
      this.#outcomes.push({ firstSeq: read.header.outcomesFrom, bytes: read.outcomes });
    }
  }

  #notePart({ header }: ReadPart): void {
    const { replayFrom, log, lastSeq, lastTimeMs, outcomesEnd, entries } = header;
    this.#used.push({ replayFrom, log });
    this.#products += entries;
    this.#lastSeq = Math.max(this.#lastSeq, lastSeq, outcomesEnd - 1);
    this.#lastTimeMs = Math.max(this.#lastTimeMs, lastTimeMs);
  }

  #noteDamage(name: string, replayFrom: number, fault: CheckpointFault): void {
    this.#damage ??= fault;
    this.#options.onDamaged(name, replayFrom, fault);
  }
}

/** Hands out the entries of parts, whatever key and number of shards they are of. */
class EntriesTarget implements BlockTarget {
  readonly #options: RestoreOptions;
  #bytes = new Uint8Array(0);
  #slots = new SlotViews(new ArrayBuffer(0), 0, 0);

  constructor(options: RestoreOptions) {
    this.#options = options;
  }

  memory(_first: number, count: number): Uint8Array {
    if (this.#bytes.length < count * SLOT_BYTES) {
      const entries = Math.max(count, BLOCK_ENTRIES);
      const memory = new ArrayBuffer(entries * SLOT_BYTES);
      this.#bytes = new Uint8Array(memory);
      this.#slots = new SlotViews(memory, 0, entries);
    }
    return this.#bytes.subarray(0, count * SLOT_BYTES);
  }

  accepted(_first: number, count: number): void {
    this.#options.visitor.entries(this.#slots, 0, count);
    this.#options.onBytes(count * ENTRY_BYTES);
  }
}
