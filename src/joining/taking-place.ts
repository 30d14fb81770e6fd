/**
 * Files that are taken over from another instance, on their way into the data folder. Main thread, before a
 * service starts on it. What is not finished has no name that a start would look at:
 *
 *   joining/data      what has come so far
 *   joining/whole     it is all there, flushed and verified: it counts, and is moved into its place
 *   joining/cleared   its place is free
 *   aside-TIME        what the folder held before, if it held something
 *
 *  1. Killed before `whole` is there: the next start throws away what has come.
 *  2. Killed behind it: the next start goes on. All that stands in the way goes aside.
 *  3. `cleared` says that it has: from then on what stands there is new. Each entry goes into its place,
 *     `cluster.json` last; then `joining` is removed, `whole` before all else.
 */
import { existsSync, mkdirSync, readdirSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { CHECKPOINT_FOLDER, LOG_FOLDER } from '../log/data-dir.ts';
import { NodeFileSystem } from '../log/file-system.ts';
import { ASIDE_START, JOINING_FOLDER, TAKEN_WHOLE } from '../replication/folder-names.ts';
import { GENESIS_FILE } from '../replication/kept-genesis.ts';
import { REPLICA_FILES } from '../replication/replica-file.ts';

const DATA = 'data';
const CLEARED = 'cleared';
/** What belongs to the log and comes with it, or is made of it; the last one makes it count. */
const OWN = [LOG_FOLDER, CHECKPOINT_FOLDER, ...REPLICA_FILES, GENESIS_FILE];
const HISTORY = /^history\.sqlite/;

export class TakingPlace {
  /** Where what comes is written to. */
  readonly data: string;
  readonly #root: string;

  constructor(root: string) {
    this.#root = root;
    this.data = join(root, JOINING_FOLDER, DATA);
  }

  /** Finishes, or throws away, what a start before this one has left. */
  resume(): void {
    const joining = join(this.#root, JOINING_FOLDER);
    if (existsSync(join(this.#root, TAKEN_WHOLE))) this.#move();
    else rmSync(joining, { recursive: true, force: true });
  }

  /** An empty folder for what comes. */
  begin(): void {
    rmSync(join(this.#root, JOINING_FOLDER), { recursive: true, force: true });
    mkdirSync(this.data, { recursive: true });
  }

  /** What has come is whole and flushed: it takes its place. Returns where that went which stood there. */
  finish(): string | undefined {
    const files = new NodeFileSystem();
    files.syncFolder(this.data);
    writeFileSync(join(this.#root, TAKEN_WHOLE), '', { flush: true });
    files.syncFolder(join(this.#root, JOINING_FOLDER));
    files.syncFolder(this.#root);
    return this.#move();
  }

  #move(): string | undefined {
    const files = new NodeFileSystem();
    const aside = existsSync(join(this.#root, JOINING_FOLDER, CLEARED))
      ? undefined
      : this.#clear(files);
    for (const name of OWN) {
      if (!existsSync(join(this.data, name))) continue;
      renameSync(join(this.data, name), join(this.#root, name));
    }
    files.syncFolder(this.#root);
    // First of all: without `cleared` it would say that what stands in the places is old.
    rmSync(join(this.#root, TAKEN_WHOLE), { force: true });
    files.syncFolder(join(this.#root, JOINING_FOLDER));
    rmSync(join(this.#root, JOINING_FOLDER), { recursive: true, force: true });
    files.syncFolder(this.#root);
    return aside;
  }

  /** Moves aside what stands in the way; returns where it went. */
  #clear(files: NodeFileSystem): string | undefined {
    const before = readdirSync(this.#root).filter(
      (name) => HISTORY.test(name) || OWN.includes(name),
    );
    const aside = join(
      this.#root,
      `${ASIDE_START}${new Date().toISOString().replaceAll(':', '-')}`,
    );
    if (before.length > 0) mkdirSync(aside);
    for (const name of before) renameSync(join(this.#root, name), join(aside, name));
    if (before.length > 0) files.syncFolder(aside);
    files.syncFolder(this.#root);
    writeFileSync(join(this.#root, JOINING_FOLDER, CLEARED), '', { flush: true });
    files.syncFolder(join(this.#root, JOINING_FOLDER));
    return before.length > 0 ? aside : undefined;
  }
}
