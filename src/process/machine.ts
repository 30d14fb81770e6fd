/** What the machine, or the part of it that this process may use, has. Main thread. */
import { readFileSync } from 'node:fs';
import { totalmem } from 'node:os';

export interface Machine {
  /** Memory that may be used, and who says so. */
  readonly memoryBytes: number;
  readonly memoryOwner: 'this machine has' | 'its cgroup (container) allows';
  /** Descriptors that may be open (`ulimit -n`); `undefined` where that is not known. */
  readonly filesMax: number | undefined;
}

export function readMachine(): Machine {
  const totalBytes = totalmem();
  // 0 or something beyond all memory where there is no limit.
  const allowedBytes = process.constrainedMemory();
  const isLimited = allowedBytes > 0 && allowedBytes < totalBytes;
  return {
    memoryBytes: isLimited ? allowedBytes : totalBytes,
    memoryOwner: isLimited ? 'its cgroup (container) allows' : 'this machine has',
    filesMax: readFilesMax(),
  };
}

/** The soft limit, which Node has raised to the hard one before it runs anything. */
function readFilesMax(): number | undefined {
  try {
    const limits = readFileSync('/proc/self/limits', 'utf8');
    const text = /^Max open files\s+(\d+)/m.exec(limits)?.[1];
    return text === undefined ? undefined : Number(text);
  } catch {
    return undefined;
  }
}
