/**
 * The disk as the tools see it: everything can be read, nothing can be written. Code of the service
 * that also cleans up (recovery removes leftovers) runs on it unchanged and changes nothing.
 * Main thread of a tool.
 */
import { type FileHandle, NodeFileSystem } from '../log/file-system.ts';
import { throwIfUnreadable } from './unreadable-error.ts';

export class ReadOnlyFiles extends NodeFileSystem {
  /** A folder that is not there is empty: a start would make it. So is a file in its place. */
  override list(folder: string): string[] {
    try {
      return super.list(folder);
    } catch (error) {
      const { code } = error as NodeJS.ErrnoException;
      if (code === 'ENOENT' || code === 'ENOTDIR') return [];
      throwIfUnreadable(error, folder);
      throw error;
    }
  }

  /** Throws UnreadableError where that is the reader's fault and not the file's. */
  override openForReading(path: string): FileHandle {
    try {
      return super.openForReading(path);
    } catch (error) {
      throwIfUnreadable(error, path);
      throw error;
    }
  }

  /** What recovery would remove stays. */
  override remove(): void {}
  override removeFolder(): void {}

  override makeFolder(path: string): never {
    return refuse('make', path);
  }
  override open(path: string): FileHandle {
    return refuse('open for writing', path);
  }
  override create(path: string): FileHandle {
    return refuse('create', path);
  }
  override write(): never {
    return refuse('write', 'a file');
  }
  override truncate(): never {
    return refuse('truncate', 'a file');
  }
  override rename(path: string): never {
    return refuse('rename', path);
  }
}

function refuse(what: string, path: string): never {
  throw new Error(`a tool that only reads tried to ${what} ${path}`);
}
