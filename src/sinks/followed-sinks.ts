/**
 * Which sinks have heard of everything that the store has forgotten since: DATA_DIR/sinks/followed, JSON. The
 * places of forgotten products are freed behind the positions of all sinks (src/cleanup), but only of those that
 * are named now and were reached within SINK_HOLD. One that was away may still list products whose delisting it
 * never heard of, and nothing in the store says so any more: when it comes back, its rows are compared with the
 * store (sink-comparison.ts). Main thread.
 *
 *   freedUntil  places of products forgotten up to this seq may have been freed
 *   sinks       names of those that were held for ever since they were filled, or compared
 *
 * A crash: `freedUntil` is flushed before anything up to it is freed; a name is taken off, flushed, before
 * anything is freed that its sink may lack, because a start takes off all that it does not find in SINKS.
 */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { SINKS_FOLDER } from '../log/data-dir.ts';
import type { FileSystem } from '../log/file-system.ts';
import { replaceSinksFile } from './sinks-file.ts';

const NAME = 'followed';

interface Content {
  readonly freedUntil: number;
  readonly sinks: readonly string[];
}

export class FollowedSinks {
  readonly #files: FileSystem;
  readonly #root: string;
  #content: Content;

  /** `names`: those that are to be followed now. All throw what the file system throws, this one also if the file is damaged. */
  constructor(files: FileSystem, root: string, names: readonly string[]) {
    this.#files = files;
    this.#root = root;
    this.#content = read(join(root, SINKS_FOLDER, NAME));
    const { freedUntil, sinks } = this.#content;
    const kept = sinks.filter((name) => names.includes(name));
    if (kept.length < sinks.length) this.#write({ freedUntil, sinks: kept });
  }

  get freedUntil(): number {
    return this.#content.freedUntil;
  }

  /**
   * Whether a sink that is opened at `position` may list products that were forgotten without its having heard of it:
   * it was away, or it is behind where it was then, like one restored from a copy of its own.
   */
  mayLack(name: string, position: number): boolean {
    const { freedUntil, sinks } = this.#content;
    return freedUntil > 0 && (position < freedUntil || !sinks.includes(name));
  }

  /** The sink lists no product that was forgotten, and is held for from now on. */
  add(name: string): void {
    const { freedUntil, sinks } = this.#content;
    if (!sinks.includes(name)) this.#write({ freedUntil, sinks: [...sinks, name] });
  }

  /** Places are about to be freed up to this seq, without the sinks in `left` having heard of it. */
  freeUntil(seq: number, left: readonly string[]): void {
    const { freedUntil, sinks } = this.#content;
    const kept = sinks.filter((name) => !left.includes(name));
    if (seq > freedUntil || kept.length < sinks.length) {
      this.#write({ freedUntil: Math.max(seq, freedUntil), sinks: kept });
    }
  }

  /** Writes it again, where the folder was removed meanwhile. */
  remake(): void {
    const { freedUntil, sinks } = this.#content;
    if (freedUntil > 0 || sinks.length > 0) this.#write(this.#content);
  }

  /** In memory it is so once it is on disk. */
  #write(content: Content): void {
    const bytes = Buffer.from(`${JSON.stringify(content)}\n`);
    replaceSinksFile(this.#files, this.#root, NAME, bytes);
    this.#content = content;
  }
}

function read(path: string): Content {
  let content: Partial<Content> = {};
  try {
    content = JSON.parse(readFileSync(path, 'utf8')) as Partial<Content>;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return { freedUntil: 0, sinks: [] };
    if (!(error instanceof SyntaxError)) throw error;
  }
  const { freedUntil, sinks } = content;
  if (typeof freedUntil === 'number' && Array.isArray(sinks)) return { freedUntil, sinks };
  throw new Error(`${path} is damaged; without it, sinks that were away may list what is delisted`);
}
