/** A cgroup of a test's own with a limit on memory, version 2 or 1. Needs root and a writable hierarchy. */
import { existsSync, mkdirSync, readFileSync, rmdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { Test } from 'tap';

const ROOT = '/sys/fs/cgroup';

export class MemoryCgroup {
  readonly #path: string;
  readonly #isUnified: boolean;

  private constructor(path: string, isUnified: boolean) {
    this.#path = path;
    this.#isUnified = isUnified;
  }

  /** Makes one; `undefined`, with the reason as a comment, where that is not allowed. */
  static create(t: Test, bytes: number): MemoryCgroup | undefined {
    const isUnified = existsSync(join(ROOT, 'cgroup.controllers'));
    const name = `product-service-test-${process.pid}`;
    const path = join(ROOT, isUnified ? '' : 'memory', name);
    try {
      mkdirSync(path);
      t.teardown(() => rmdirSync(path));
      writeFileSync(join(path, isUnified ? 'memory.max' : 'memory.limit_in_bytes'), `${bytes}`);
    } catch (error) {
      t.comment(`no memory cgroup can be made here: ${error}`);
      return undefined;
    }
    return new MemoryCgroup(path, isUnified);
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
}
