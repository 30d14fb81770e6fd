/**
 * The disk as the service's own threads see it: every path in the data folder goes through the opened
 * folder that was locked (`/proc/self/fd/N/name`, Linux's way of openat, which Node doesn't have). So
 * whatever the folder is called meanwhile, and whatever stands in its place, nothing is ever written
 * to another one: not in the moment between two looks of folder-keeper.ts either. Where there is no
 * /proc the paths are used as they are, and those looks are all there is. Any thread.
 */
import { existsSync } from 'node:fs';
import { sep } from 'node:path';
import { type FileHandle, NodeFileSystem } from './file-system.ts';
import {
  FolderGuard,
  HELD_CHECKPOINT,
  HELD_LOG,
  HELD_ROOT,
  type HeldIndex,
} from './folder-guard.ts';

/** The folders as they are configured, and the shared words of their guard; survives cloning. */
export interface HeldFolder {
  readonly root: string;
  readonly log: string;
  readonly checkpoint: string;
  readonly guard: SharedArrayBuffer;
}

/** Whether a descriptor's path leads into the folder on this system. */
export function canGoByDescriptor(descriptor: number): boolean {
  return existsSync(`/proc/self/fd/${descriptor}/.`);
}

/** The way to `path` through the opened folder that holds it; `path` itself outside of them. */
export function heldPath(held: HeldFolder, path: string): string {
  const guard = new FolderGuard(held.guard);
  const folders: readonly (readonly [string, HeldIndex])[] = [
    [held.log, HELD_LOG],
    [held.checkpoint, HELD_CHECKPOINT],
    [held.root, HELD_ROOT],
  ];
  for (const [folder, index] of folders) {
    if (path !== folder && !path.startsWith(folder + sep)) continue;
    const descriptor = guard.descriptor(index);
    if (descriptor === 0) return path;
    // `/.`: the folder itself and not the link to it.
    return `/proc/self/fd/${descriptor}${path.slice(folder.length) || '/.'}`;
  }
  return path;
}

/** The disk for a thread that works on a held folder, or on folders that nobody holds (tests). */
export function filesOf(held: HeldFolder | undefined): NodeFileSystem {
  return held === undefined ? new NodeFileSystem() : new HeldFiles(held);
}

export class HeldFiles extends NodeFileSystem {
  readonly #held: HeldFolder;

  constructor(held: HeldFolder) {
    super();
    this.#held = held;
  }

  override makeFolder(path: string): void {
    this.#through(path, (way) => super.makeFolder(way));
  }
  override list(folder: string): string[] {
    return this.#through(folder, (way) => super.list(way));
  }
  override open(path: string): FileHandle {
    return this.#opening(path, (way) => super.open(way));
  }
  override openForReading(path: string): FileHandle {
    return this.#opening(path, (way) => super.openForReading(way));
  }
  override create(path: string, mode?: number): FileHandle {
    return this.#opening(path, (way) => super.create(way, mode));
  }
  override rename(from: string, to: string): void {
    this.#through(from, (wayFrom) => this.#through(to, (wayTo) => super.rename(wayFrom, wayTo)));
  }
  override remove(path: string): void {
    this.#through(path, (way) => super.remove(way));
  }
  override removeFolder(path: string): void {
    this.#through(path, (way) => super.removeFolder(way));
  }
  override syncFolder(folder: string): void {
    this.#through(folder, (way) => super.syncFolder(way));
  }

  #opening(path: string, open: (way: string) => FileHandle): FileHandle {
    const file = this.#through(path, open);
    this.named(file, path);
    return file;
  }

  /** Errors name the path that people know. */
  #through<T>(path: string, call: (way: string) => T): T {
    const way = heldPath(this.#held, path);
    try {
      return call(way);
    } catch (error) {
      if (error instanceof Error) error.message = error.message.replaceAll(way, path);
      throw error;
    }
  }
}
