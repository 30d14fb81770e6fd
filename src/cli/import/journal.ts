/**
 * How far an import has come, on disk, so that the same command goes on there: one small file for each
 * import that has not ended, put in place whole after each batch. It saves sending again; what is there is the
 * service's word, so a journal that is lost costs time and nothing else. Main thread.
 *
 * Its name is made of the service, the file's path and what the command line says of the feed; whether the
 * file is the same one is seen by the chain (batch-chain.ts) of what was sent of it.
 */
import { createHash } from 'node:crypto';
import { mkdirSync, readFileSync, realpathSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { homedir } from 'node:os';
import { join, resolve } from 'node:path';

const VERSION = 1;

export interface ImportCounts {
  /** Events that the service took now. */
  accepted: number;
  /** Events that it knew already. */
  known: number;
  /** Records that are no events, or that it refused. */
  refused: number;
  /** Records that say nothing. */
  skipped: number;
}

export interface Progress {
  /** Batches that the service has answered for. */
  readonly batches: number;
  /** The chain behind the last of them, hex. */
  readonly chain: string;
  /** The last event's number; 0 = none yet. */
  readonly lastSeq: number;
  readonly counts: ImportCounts;
  /** Length of the report of refused lines. */
  readonly reportBytes: number;
  /** What an import that is to count anew is distinguished by; '' = by its content alone. */
  readonly salt: string;
  /** When it was written, for people. */
  readonly at: string;
}

export class Journal {
  readonly path: string;
  #isWritable = true;

  /** `signature` is what the command line says of the feed. */
  constructor(folder: string, service: URL, file: string, signature: string) {
    const name = createHash('sha256')
      .update(JSON.stringify([service.origin + service.pathname, realPath(file), signature]))
      .digest('hex');
    this.path = join(folder, `import-${name.slice(0, 24)}.json`);
  }

  /** What an import that was not finished has left; `undefined` = nothing that can be gone on from. */
  read(): Progress | undefined {
    try {
      const value = JSON.parse(readFileSync(this.path, 'utf8')) as Progress & { version: number };
      return value.version === VERSION && value.batches > 0 ? value : undefined;
    } catch {
      return undefined;
    }
  }

  /** Puts it in place; false if that is not possible (then there is none). */
  write(progress: Progress): boolean {
    if (!this.#isWritable) return false;
    try {
      mkdirSync(join(this.path, '..'), { recursive: true, mode: 0o700 });
      const partial = `${this.path}.${process.pid}`;
      writeFileSync(partial, `${JSON.stringify({ version: VERSION, ...progress })}\n`);
      renameSync(partial, this.path);
      return true;
    } catch {
      this.#isWritable = false;
      return false;
    }
  }

  remove(): void {
    rmSync(this.path, { force: true });
  }
}

/** Where journals are kept: XDG's folder for state. */
export function stateFolder(environment: Readonly<Record<string, string | undefined>>): string {
  const base = environment.XDG_STATE_HOME || join(environment.HOME || homedir(), '.local', 'state');
  return join(base, 'product-service');
}

function realPath(file: string): string {
  try {
    return realpathSync(file);
  } catch {
    return resolve(file);
  }
}
