/**
 * The simulated disk as one thread of one process sees it: every call is an operation with a
 * number, and at chosen numbers the call fails, is cut short, or the thread or process ends there,
 * before or after the call took effect. A thread that has ended changes nothing any more: whatever
 * its code does while it unwinds, each further call throws. Tests only.
 */
import type { FileHandle, FileSystem } from '../../src/log/file-system.ts';
import type { Random } from '../helpers/models/random.ts';
import { type SimulatedDisk, systemError } from './simulated-disk.ts';

/** Thrown where a thread or process ends. Code under test may catch it, but gets no further. */
export class Ended extends Error {}

/** What happens to the first `calls` calls from number `from` on that it can happen to. */
export interface Fault {
  readonly from: number;
  readonly calls: number;
  /** Only to this system call. */
  readonly on?: SystemCall;
  /**
   * - `EIO`: any call fails; one that changes something may have done it, in part.
   * - `ENOSPC`: calls that need room fail.
   * - `short`: reads and writes move fewer bytes than asked for.
   * - `end-before`, `end-after`: the process ends there.
   */
  readonly kind: 'EIO' | 'ENOSPC' | 'short' | 'end-before' | 'end-after';
}

export type SystemCall =
  | 'mkdir'
  | 'readdir'
  | 'open'
  | 'close'
  | 'fstat'
  | 'read'
  | 'write'
  | 'ftruncate'
  | 'fdatasync'
  | 'rename'
  | 'unlink'
  | 'rmdir'
  | 'fsync'
  | 'step';

/** What all threads of a process share. */
export class FaultyProcess {
  readonly disk: SimulatedDisk;
  readonly random: Random;
  #faults: { readonly fault: Fault; left: number }[] = [];
  /** Calls so far, of all threads. */
  operations = 0;
  /** Folders of which a flush failed: names in them may be gone after a power loss. */
  readonly failedFolders = new Set<string>();
  ended = false;
  /** Called where the process ends, or a thread of it, so that loops that retry end too. */
  onEnd: () => void = () => undefined;

  constructor(disk: SimulatedDisk, random: Random) {
    this.disk = disk;
    this.random = random;
  }

  get faults(): readonly Fault[] {
    return this.#faults.map(({ fault }) => fault);
  }

  set faults(faults: readonly Fault[]) {
    this.#faults = faults.map((fault) => ({ fault, left: fault.calls }));
  }

  /** What happens to the call with this number, in the order of the faults. */
  *faultsOf(number: number, name: SystemCall, call: Call): Generator<Fault['kind']> {
    for (const planned of this.#faults) {
      const { from, on, kind } = planned.fault;
      if (number < from || planned.left === 0 || (on !== undefined && on !== name)) continue;
      if (!canHappen(kind, call)) continue;
      planned.left--;
      yield kind;
    }
  }

  end(): never {
    this.ended = true;
    this.onEnd();
    throw new Ended('the process ended');
  }
}

/** What a call needs of the disk; `memory` is none, but a thread may end there too. */
type Call = 'read' | 'change' | 'needs-room' | 'memory';

function canHappen(kind: Fault['kind'], call: Call): boolean {
  if (kind === 'end-before' || kind === 'end-after') return true;
  return call !== 'memory' && (kind !== 'ENOSPC' || call === 'needs-room');
}

export class FaultyFiles implements FileSystem {
  readonly #process: FaultyProcess;
  /** Number of this thread's call before which it ends alone. */
  endsAt = Number.POSITIVE_INFINITY;
  ended = false;
  /** Other threads get their turn before each call. */
  beforeCall: () => void = () => undefined;
  /** Called before each write is tried. */
  beforeWrite: () => void = () => undefined;
  #calls = 0;

  constructor(process: FaultyProcess) {
    this.#process = process;
  }

  get calls(): number {
    return this.#calls;
  }

  /** Throws if this thread or the process has ended. */
  checkAlive(): void {
    if (this.ended || this.#process.ended) throw new Ended('the thread has ended');
  }

  /** Ends this thread here. */
  end(): never {
    this.ended = true;
    this.#process.onEnd();
    throw new Ended('the thread ended');
  }

  /** A step in shared memory, before or after which the thread may end. */
  step(effect: () => void): void {
    this.#call('memory', 'step', '', effect);
  }

  makeFolder(path: string): void {
    this.#call('needs-room', 'mkdir', path, () => this.#disk.makeFolder(path));
  }
  list(folder: string): string[] {
    return this.#call('read', 'readdir', folder, () => this.#disk.list(folder));
  }
  open(path: string): FileHandle {
    return this.#call('read', 'open', path, () => this.#disk.open(path));
  }
  openForReading(path: string): FileHandle {
    return this.#call('read', 'open', path, () => this.#disk.openForReading(path));
  }
  create(path: string): FileHandle {
    return this.#call('needs-room', 'open', path, () => this.#disk.create(path));
  }
  close(file: FileHandle): void {
    this.#call('change', 'close', '', () => this.#disk.close(file));
  }
  size(file: FileHandle): number {
    return this.#call('read', 'fstat', '', () => this.#disk.size(file));
  }
  read(file: FileHandle, buffer: Uint8Array, at: number, length: number, position: number): number {
    return this.#call('read', 'read', '', (isShort) =>
      this.#disk.read(file, buffer, at, this.#length(length, isShort), position),
    );
  }
  write(
    file: FileHandle,
    buffer: Uint8Array,
    at: number,
    length: number,
    position: number,
  ): number {
    this.beforeWrite();
    return this.#call(
      'needs-room',
      'write',
      '',
      (isShort) => this.#disk.write(file, buffer, at, this.#length(length, isShort), position),
      () => this.#disk.write(file, buffer, at, this.#process.random.below(length + 1), position),
    );
  }
  truncate(file: FileHandle, length: number): void {
    this.#call('change', 'ftruncate', '', () => this.#disk.truncate(file, length));
  }
  syncData(file: FileHandle): void {
    const { random } = this.#process;
    this.#call(
      'needs-room',
      'fdatasync',
      '',
      () => this.#disk.syncData(file),
      () => this.#disk.failSync(file, random),
    );
  }
  rename(from: string, to: string): void {
    this.#call('needs-room', 'rename', to, () => this.#disk.rename(from, to));
  }
  remove(path: string): void {
    this.#call('change', 'unlink', path, () => this.#disk.remove(path));
  }
  removeFolder(path: string): void {
    const inner = this.#disk.list(path);
    // As many calls as the system would see.
    for (const name of inner) this.remove(`${path}/${name}`);
    this.#call('change', 'rmdir', path, () => this.#disk.removeFolder(path));
  }
  syncFolder(folder: string): void {
    try {
      this.#call('change', 'fsync', folder, () => this.#disk.syncFolder(folder));
    } catch (error) {
      this.#process.failedFolders.add(folder);
      throw error;
    }
  }

  get #disk(): SimulatedDisk {
    return this.#process.disk;
  }

  #length(length: number, isShort: boolean): number {
    return isShort && length > 1 ? this.#process.random.integer(1, length - 1) : length;
  }

  /** `partly` is what a failing call may have done nevertheless; without it: all or nothing. */
  #call<T>(
    call: Call,
    name: SystemCall,
    path: string,
    effect: (isShort: boolean) => T,
    partly?: () => void,
  ): T {
    const process = this.#process;
    this.checkAlive();
    this.beforeCall();
    this.checkAlive();
    if (this.#calls++ >= this.endsAt) this.end();
    const number = process.operations++;
    let isShort = false;
    for (const kind of process.faultsOf(number, name, call)) {
      if (kind === 'end-before') process.end();
      if (kind === 'end-after') {
        if (call !== 'read') effect(false);
        process.end();
      }
      if (kind === 'short') isShort = true;
      else {
        if (partly !== undefined) partly();
        else if (call !== 'read' && name !== 'fsync' && process.random.chance(0.5)) effect(false);
        throw systemError(kind, name, path);
      }
    }
    return effect(isShort);
  }
}
