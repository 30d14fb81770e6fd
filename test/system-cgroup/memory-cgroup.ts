/** A cgroup of a test's own with a limit on memory, version 2 or 1. Needs root and a writable hierarchy. */
import { existsSync, mkdirSync, readFileSync, rmdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';

const ROOT = '/sys/fs/cgroup';

export class MemoryCgroup {
  readonly #path: string;
  readonly #isUnified: boolean;

  /** Makes one; throws where that is not allowed (.ci/run-tests.ts tries before it runs the tests). */
  constructor(bytes: number) {
    this.#isUnified = existsSync(join(ROOT, 'cgroup.controllers'));
    const name = `product-service-test-${process.pid}`;
    this.#path = join(ROOT, this.#isUnified ? '' : 'memory', name);
    mkdirSync(this.#path);
    const limit = this.#isUnified ? 'memory.max' : 'memory.limit_in_bytes';
    try {
      writeFileSync(join(this.#path, limit), `${bytes}`);
    } catch (error) {
      this.remove();
      throw error;
    }
  }

  /** A command that runs another within it. */
  get under(): readonly string[] {
    return ['/bin/sh', '-c', `echo $$ > ${join(this.#path, 'cgroup.procs')} && exec "$@"`, 'sh'];
  }

  /** Processes that the kernel has ended in it. */
  get oomKills(): number {
    const name = this.#isUnified ? 'memory.events' : 'memory.oom_control';
    return Number(/^oom_kill (\d+)$/m.exec(readFileSync(join(this.#path, name), 'utf8'))?.[1]);
  }

  /** When nothing runs in it any more. */
  remove(): void {
    rmdirSync(this.#path);
  }
}
