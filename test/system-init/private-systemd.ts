/**
 * A real systemd as process 1 of a process namespace of its own, which knows nothing but one unit and
 * the few targets that it needs. What it may write is memory of its own mount namespace: /run,
 * /var/lib, /var/cache and /opt. It never outlives the test. Needs root, Linux, and a machine that
 * systemd doesn't run already. Tests only.
 */
import { type ChildProcess, spawn, spawnSync } from 'node:child_process';
import {
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  rmdirSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import type { Test } from 'tap';
import { polled } from '../helpers/bounded.ts';
import { tempDir } from '../helpers/disks/temp-dir.ts';

const REPOSITORY = fileURLToPath(new URL('../../', import.meta.url));
const SYSTEMD = '/lib/systemd/systemd';
const WAIT_MS_MAX = 60_000;
/** What units refer to without being asked. */
const TARGETS = ['sysinit', 'basic', 'shutdown', 'network-online', 'multi-user'];
/** The whole story of the namespace; $1 is the test's folder, $2 the repository. */
const SCRIPT = `
set -e
mount --make-rprivate /
mkdir "$1/checkout"
mount --bind "$2" "$1/checkout"
for place in /run /var/lib /var/cache /opt; do
  mkdir -p "$place"
  mount -t tmpfs -o mode=0755 tmpfs "$place"
done
mkdir -p /run/systemd/system /opt/product-service/checkout /opt/product-service/node_modules/.bin
mount --bind "$1/checkout" /opt/product-service/checkout
cp "$1/product-service" /opt/product-service/node_modules/.bin/product-service
exec env -i PATH="$PATH" container=other SYSTEMD_UNIT_PATH="$1/units" ${SYSTEMD} --system \\
  --default-standard-output=null --unit=default.target
`;

export class PrivateSystemd {
  readonly #child: ChildProcess;
  readonly #folder: string;

  private constructor(child: ChildProcess, folder: string) {
    this.#child = child;
    this.#folder = folder;
  }

  /** Why it can't be had on this machine, or `undefined` if it can. */
  static obstacle(): string | undefined {
    if (!existsSync(SYSTEMD)) return 'systemd is missing';
    if (existsSync('/run/systemd/system')) return 'systemd runs this machine already';
    const tried = spawnSync('unshare', [...NAMESPACES, 'mount', '--make-rprivate', '/']);
    return tried.status === 0 ? undefined : 'no namespaces can be made (it takes root)';
  }

  /** Starts it with the unit `name` of `text`, and `dropIn` beside it. */
  static async start(t: Test, name: string, text: string, dropIn: string): Promise<PrivateSystemd> {
    const folder = tempDir(t);
    const units = join(folder, 'units');
    mkdirSync(join(units, `${name}.d`), { recursive: true });
    writeFileSync(join(units, name), text);
    writeFileSync(join(units, `${name}.d`, 'test.conf'), dropIn);
    for (const target of [...TARGETS, 'default']) {
      const wants = target === 'default' ? `Wants=${name}` : '';
      writeFileSync(
        join(units, `${target}.target`),
        `[Unit]\nDescription=${target}\nDefaultDependencies=no\n${wants}\n`,
      );
    }
    writeFileSync(join(folder, 'product-service'), LAUNCHER, { mode: 0o755 });
    const left = leftovers();
    const script = ['bash', '-c', SCRIPT, 'bash', folder, REPOSITORY];
    const child = spawn('unshare', [...NAMESPACES, ...script], { stdio: 'ignore' });
    const exited = new Promise<void>((resolve) => child.once('close', () => resolve()));
    t.teardown(async () => {
      child.kill('SIGKILL'); // and with it, by --kill-child, everything in there
      await exited;
      const isNew = (path: string) => !left.includes(path);
      await polled(
        () => leftovers().filter(isNew).every(isRemoved) || undefined,
        WAIT_MS_MAX,
        'cgroups',
      );
    });
    const systemd = new PrivateSystemd(child, folder);
    await polled(() => systemd.#init !== undefined || undefined, WAIT_MS_MAX, 'systemd to start');
    return systemd;
  }

  /** Process id of its process 1, seen from here. */
  get #init(): string | undefined {
    const children = readFileSync(
      `/proc/${this.#child.pid}/task/${this.#child.pid}/children`,
      'utf8',
    );
    const [pid] = children.split(' ');
    if (pid === undefined || pid === '') return undefined;
    const command = readFileSync(`/proc/${pid}/cmdline`, 'utf8');
    return command.startsWith(SYSTEMD) ? pid : undefined;
  }

  /** Runs a command in there; gives what it wrote. */
  run(...command: readonly string[]): string {
    const init = this.#init;
    if (init === undefined) throw new Error(`systemd in ${this.#folder} has ended`);
    const args = ['-t', init, '-p', '-m', '--', ...command];
    const { stdout, stderr } = spawnSync('nsenter', args, { encoding: 'utf8' });
    return `${stdout}${stderr}`;
  }

  /** A property of the unit, such as `ActiveState`. */
  property(unit: string, property: string): string {
    return this.run('systemctl', 'show', '--value', '-p', property, unit).trim();
  }
}

const NAMESPACES = ['--pid', '--fork', '--kill-child', '--mount', '--mount-proc', '--cgroup'];

/** What npm makes of the package's `bin`, for the checkout: types are stripped only outside node_modules. */
const LAUNCHER = `#!/bin/sh
cd /opt/product-service/checkout
exec node_modules/.bin/node --disable-sigusr1 src/main.ts "$@"
`;

/** Control groups that systemd makes and leaves behind when it is killed, deepest first. */
function leftovers(): string[] {
  const root = '/sys/fs/cgroup';
  return ['', ...readdirSync(root)].flatMap((hierarchy) =>
    ['init.scope', 'system.slice/product-service.service', 'system.slice']
      .map((group) => join(root, hierarchy, group))
      .filter((path) => existsSync(path)),
  );
}

function isRemoved(path: string): boolean {
  try {
    rmdirSync(path);
    return true;
  } catch {
    return false; // something in it is still on its way out
  }
}
