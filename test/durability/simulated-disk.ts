/**
 * A disk in memory, behind the log's file-system seam, that keeps apart what programs see (the
 * kernel's cache) and what a power loss leaves (the platter), for the bytes of files and for the
 * names in folders. Nothing fails here by itself: faulty-files.ts makes calls fail. Tests only.
 *
 *            write, truncate             syncData                    powerLoss
 *   cached ◀───────────────── dirty ───────────────────▶ durable ──────────────▶ cached
 *                               └─ failSync: some of it, and the rest is forgotten though it is
 *                                  still to be read: ext4 marks such pages clean
 */
import type { FileHandle, FileSystem } from '../../src/log/file-system.ts';
import type { Random } from '../helpers/models/random.ts';
import { FileNode } from './file-node.ts';

/** A change of names that no syncFolder has made durable; a rename is one step. */
type NameChange =
  | { readonly kind: 'link'; readonly name: string; readonly node: Node }
  | { readonly kind: 'unlink'; readonly name: string }
  | { readonly kind: 'rename'; readonly from: string; readonly to: string; readonly node: Node };

type Node = FileNode | FolderNode;

class FolderNode {
  cached = new Map<string, Node>();
  durable = new Map<string, Node>();
  pending: NameChange[] = [];

  change(change: NameChange): void {
    applyNames(this.cached, change);
    this.pending.push(change);
  }
}

function applyNames(names: Map<string, Node>, change: NameChange): void {
  if (change.kind === 'link') names.set(change.name, change.node);
  else if (change.kind === 'unlink') names.delete(change.name);
  else {
    names.delete(change.from);
    names.set(change.to, change.node);
  }
}

interface OpenFile {
  readonly node: FileNode;
  readonly path: string;
  readonly isWritable: boolean;
  /** A flush failed: what the kernel says of this file from now on is worthless. */
  hasFailed: boolean;
}

/** An error as Node's file system throws it. */
export function systemError(code: string, call: string, path: string): Error {
  return Object.assign(new Error(`${code}: simulated, ${call} '${path}'`), { code });
}

export class SimulatedDisk implements FileSystem {
  #root = new FolderNode();
  #open = new Map<FileHandle, OpenFile>();
  #nextHandle = 3;
  /** Calls on a file whose flush had failed, other than closing it: nobody may rely on those. */
  readonly reliedOnFailed: string[] = [];

  makeFolder(path: string): void {
    let folder = this.#root;
    for (const name of names(path)) {
      let next = folder.cached.get(name);
      if (next === undefined) {
        next = new FolderNode();
        folder.change({ kind: 'link', name, node: next });
      }
      if (!(next instanceof FolderNode)) throw systemError('ENOTDIR', 'mkdir', path);
      folder = next;
    }
  }

  list(folder: string): string[] {
    return [...this.#folder(folder).cached.keys()];
  }

  open(path: string): FileHandle {
    return this.#handle(this.#file(path), path, true);
  }

  openForReading(path: string): FileHandle {
    return this.#handle(this.#file(path), path, false);
  }

  create(path: string): FileHandle {
    const { folder, name } = this.#parent(path);
    const old = folder.cached.get(name);
    if (old instanceof FolderNode) throw systemError('EISDIR', 'open', path);
    if (old !== undefined) {
      old.truncate(0);
      return this.#handle(old, path, true);
    }
    const node = new FileNode();
    folder.change({ kind: 'link', name, node });
    return this.#handle(node, path, true);
  }

  close(file: FileHandle): void {
    if (!this.#open.delete(file)) throw systemError('EBADF', 'close', String(file));
  }

  size(file: FileHandle): number {
    return this.#opened(file, 'fstat').node.cached.length;
  }

  read(file: FileHandle, buffer: Uint8Array, at: number, length: number, position: number): number {
    const { cached } = this.#opened(file, 'read').node;
    const bytes = cached.subarray(position, position + length);
    buffer.set(bytes, at);
    return bytes.length;
  }

  write(
    file: FileHandle,
    buffer: Uint8Array,
    at: number,
    length: number,
    position: number,
  ): number {
    this.#writable(file, 'write').node.write(position, buffer.slice(at, at + length));
    return length;
  }

  truncate(file: FileHandle, length: number): void {
    this.#writable(file, 'ftruncate').node.truncate(length);
  }

  syncData(file: FileHandle): void {
    this.#trusted(file, 'fdatasync').node.sync();
  }

  /** A flush that fails: see the file's header. */
  failSync(file: FileHandle, random: Random): void {
    const open = this.#trusted(file, 'fdatasync');
    open.node.failSync(random);
    open.hasFailed = true;
  }

  rename(from: string, to: string): void {
    const source = this.#parent(from);
    const target = this.#parent(to);
    if (source.folder !== target.folder) throw new Error('the log renames within one folder only');
    const node = source.folder.cached.get(source.name);
    if (node === undefined) throw systemError('ENOENT', 'rename', from);
    const old = target.folder.cached.get(target.name);
    if (old instanceof FolderNode) {
      if (!(node instanceof FolderNode)) throw systemError('EISDIR', 'rename', to);
      if (old.cached.size > 0) throw systemError('ENOTEMPTY', 'rename', to);
    } else if (old !== undefined && node instanceof FolderNode) {
      throw systemError('ENOTDIR', 'rename', to);
    }
    source.folder.change({ kind: 'rename', from: source.name, to: target.name, node });
  }

  remove(path: string): void {
    const { folder, name } = this.#parent(path);
    if (!(folder.cached.get(name) instanceof FileNode)) throw systemError('ENOENT', 'unlink', path);
    folder.change({ kind: 'unlink', name });
  }

  removeFolder(path: string): void {
    const { folder, name } = this.#parent(path);
    const inner = this.#folder(path);
    for (const file of [...inner.cached.keys()]) inner.change({ kind: 'unlink', name: file });
    folder.change({ kind: 'unlink', name });
  }

  syncFolder(path: string): void {
    const folder = this.#folder(path);
    for (const change of folder.pending) applyNames(folder.durable, change);
    folder.pending = [];
  }

  /** The process is gone, the kernel is not: only its descriptors are closed. */
  processEnds(): void {
    this.#open.clear();
  }

  /** Power is lost: of what was never flushed, `random` decides what is there afterwards. */
  powerLoss(random: Random): void {
    this.processEnds();
    // Mostly-lost and mostly-kept find other bugs than half and half.
    const namesKept = random.pick([0, 0.1, 0.5, 0.9, 1]);
    const dataKept = random.pick([0, 0.1, 0.5, 0.9, 1]);
    settle(this.#root, random, namesKept, dataKept);
  }

  /** A copy of what a program would see now, all of it durable, nothing open. */
  copy(): SimulatedDisk {
    const copy = new SimulatedDisk();
    copy.#root = copyFolder(this.#root);
    return copy;
  }

  /** All files below `folder`, as programs see them, sorted; the bytes may be changed in place. */
  files(folder: string): { readonly path: string; readonly node: FileNode }[] {
    const found: { path: string; node: FileNode }[] = [];
    for (const [name, node] of this.#folder(folder).cached) {
      const path = `${folder}/${name}`;
      if (node instanceof FileNode) found.push({ path, node });
      else found.push(...this.files(path));
    }
    return found.sort((a, b) => (a.path < b.path ? -1 : 1));
  }

  #handle(node: FileNode, path: string, isWritable: boolean): FileHandle {
    this.#open.set(this.#nextHandle, { node, path, isWritable, hasFailed: false });
    return this.#nextHandle++;
  }

  #opened(file: FileHandle, call: string): OpenFile {
    const open = this.#open.get(file);
    if (open === undefined) throw systemError('EBADF', call, String(file));
    return open;
  }

  #trusted(file: FileHandle, call: string): OpenFile {
    const open = this.#opened(file, call);
    if (open.hasFailed) this.reliedOnFailed.push(`${call} '${open.path}'`);
    return open;
  }

  #writable(file: FileHandle, call: string): OpenFile {
    const open = this.#trusted(file, call);
    if (!open.isWritable) throw systemError('EBADF', call, open.path);
    return open;
  }

  #folder(path: string): FolderNode {
    let node: Node | undefined = this.#root;
    for (const name of names(path)) {
      node = node instanceof FolderNode ? node.cached.get(name) : undefined;
    }
    if (!(node instanceof FolderNode)) throw systemError('ENOENT', 'open', path);
    return node;
  }

  #file(path: string): FileNode {
    const { folder, name } = this.#parent(path);
    const node = folder.cached.get(name);
    if (!(node instanceof FileNode)) throw systemError('ENOENT', 'open', path);
    return node;
  }

  #parent(path: string): { readonly folder: FolderNode; readonly name: string } {
    const slash = path.lastIndexOf('/');
    return { folder: this.#folder(path.slice(0, slash)), name: path.slice(slash + 1) };
  }
}

function names(path: string): string[] {
  return path.split('/').filter((name) => name !== '');
}

function settle(folder: FolderNode, random: Random, namesKept: number, dataKept: number): void {
  for (const change of folder.pending) {
    if (random.chance(namesKept)) applyNames(folder.durable, change);
  }
  folder.pending = [];
  folder.cached = new Map(folder.durable);
  for (const node of folder.durable.values()) {
    if (node instanceof FileNode) node.powerLoss(random, dataKept);
    else settle(node, random, namesKept, dataKept);
  }
}

function copyFolder(folder: FolderNode): FolderNode {
  const copy = new FolderNode();
  for (const [name, node] of folder.cached) {
    copy.cached.set(name, node instanceof FileNode ? node.copy() : copyFolder(node));
  }
  copy.durable = new Map(copy.cached);
  return copy;
}
