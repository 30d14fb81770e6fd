/**
 * Runs the tests: `npm test`, with tap's arguments behind it if there are any. Most need nothing but
 * Node. Four folders need more: test/system-faults puts faults into real system calls and fills a real
 * disk (Linux, root, strace), test/system-cgroup limits memory as a container does, test/system-init runs a systemd, test/system-tools uses the programs that people use with the service
 * (Debian's packages, PACKAGES below). This installs what is missing where it may (Debian, as root);
 * where something can't be had it runs all others and says at the end what was not run. Under CI=true
 * that is a failure.
 */
import { spawnSync } from 'node:child_process';
import { existsSync, mkdtempSync, readdirSync, rmdirSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { MemoryCgroup } from '../test/system-cgroup/memory-cgroup.ts';
import { PrivateSystemd } from '../test/system-init/private-systemd.ts';

const REPOSITORY = fileURLToPath(new URL('../', import.meta.url));
/** Debian's packages that test/system-tools needs, and wrk for a bench, each with a file that it brings. */
const PACKAGES = {
  bsdutils: '/usr/bin/script',
  brotli: '/usr/bin/brotli',
  chromium: '/usr/bin/chromium',
  curl: '/usr/bin/curl',
  faketime: '/usr/bin/faketime',
  fish: '/usr/bin/fish',
  'golang-go': '/usr/bin/go',
  haproxy: '/usr/sbin/haproxy',
  'nats-server': '/usr/sbin/nats-server',
  'nghttp2-client': '/usr/bin/h2load',
  'nginx-light': '/usr/sbin/nginx',
  openssl: '/usr/bin/openssl',
  pigz: '/usr/bin/pigz',
  postgresql: '/usr/bin/pg_createcluster',
  prometheus: '/usr/bin/prometheus',
  'python3-httpx': '/usr/lib/python3/dist-packages/httpx/__init__.py',
  'python3-requests': '/usr/lib/python3/dist-packages/requests/__init__.py',
  'redis-server': '/usr/bin/redis-server',
  slowhttptest: '/usr/bin/slowhttptest',
  sqlite3: '/usr/bin/sqlite3',
  wrk: '/usr/bin/wrk',
  zsh: '/usr/bin/zsh',
  zstd: '/usr/bin/zstd',
};
/** Enough for a shell. */
const CGROUP_TRIAL_BYTES = 64 << 20;
/** What each folder that needs more than Node tests, and why it can't be run here, if it can't. */
const DEMANDING = {
  'system-faults': { tests: 'real disk faults and full disks', obstacle: faultObstacle },
  'system-cgroup': { tests: 'memory limits of containers', obstacle: cgroupObstacle },
  'system-init': { tests: 'the unit under a real systemd', obstacle: systemdObstacle },
  'system-tools': { tests: "the programs of the service's users", obstacle: toolObstacle },
};

/** Runs a command quietly; whether it succeeded. */
function succeeds(command: string, ...args: readonly string[]): boolean {
  return spawnSync(command, args, { stdio: 'ignore' }).status === 0;
}

/** Installs Debian's packages, where that is allowed. */
function install(...packages: readonly string[]): void {
  if (packages.length === 0 || process.getuid?.() !== 0 || !succeeds('apt-get', '--version'))
    return;
  console.log(`# installing ${packages.join(', ')}, which tests need`);
  const args = ['install', '-y', '-qq', '--no-install-recommends', ...packages];
  if (succeeds('apt-get', ...args)) return;
  succeeds('apt-get', 'update', '-qq');
  succeeds('apt-get', ...args);
}

/** Why the users' programs can't be had here, or `undefined` if they can. */
function toolObstacle(): string | undefined {
  const missing = () =>
    Object.entries(PACKAGES).flatMap(([name, file]) => (existsSync(file) ? [] : [name]));
  install(...missing());
  return missing().length === 0 ? undefined : `${missing().join(', ')} missing`;
}

/** Why a systemd of our own can't run here, or `undefined` if it can. */
function systemdObstacle(): string | undefined {
  if (!existsSync('/lib/systemd/systemd')) install('systemd');
  return PrivateSystemd.obstacle();
}

/** Why real faults can't be had here, or `undefined` if they can. */
function faultObstacle(): string | undefined {
  if (process.platform !== 'linux') return 'they need Linux';
  if (process.getuid?.() !== 0) return 'they need root';
  if (!succeeds('strace', '--version')) install('strace');
  if (!succeeds('strace', '--version')) return 'strace is missing';
  if (!succeeds('strace', '-o', '/dev/null', 'true')) {
    return "strace can't trace here (in a container: --cap-add=SYS_PTRACE)";
  }
  const folder = mkdtempSync(join(tmpdir(), 'product-service-mount-'));
  try {
    if (!succeeds('mount', '-t', 'tmpfs', 'tmpfs', folder)) {
      return "a tmpfs can't be mounted here (in a container: --cap-add=SYS_ADMIN)";
    }
    succeeds('umount', folder);
  } finally {
    rmdirSync(folder);
  }
  return undefined;
}

/** Why memory can't be limited here, or `undefined` if it can. */
function cgroupObstacle(): string | undefined {
  try {
    const cgroup = new MemoryCgroup(CGROUP_TRIAL_BYTES);
    const [shell = '', ...args] = cgroup.under;
    const canEnter = succeeds(shell, ...args, 'true');
    cgroup.remove();
    return canEnter ? undefined : 'no process can be put into a cgroup here';
  } catch (error) {
    return `no memory cgroup can be made here (it takes root, and in a container --privileged): ${error}`;
  }
}

const chosen = process.argv.slice(2);
const choosesFiles = chosen.some((argument) => !argument.startsWith('-'));
const obstacles = Object.entries(DEMANDING).flatMap(([folder, { tests, obstacle }]) => {
  const reason = choosesFiles ? undefined : obstacle();
  return reason === undefined ? [] : [{ folder, tests, reason }];
});
const others = readdirSync(join(REPOSITORY, 'test'), { withFileTypes: true })
  .filter((entry) => entry.isDirectory() && !obstacles.some(({ folder }) => folder === entry.name))
  .map(({ name }) => `test/${name}/**/*.test.ts`);
const files = obstacles.length === 0 ? [] : others;
// Hundreds of processes load the same modules: they strip and compile them once.
const env = { ...process.env, NODE_COMPILE_CACHE: join(REPOSITORY, 'node_modules/.cache/node') };
const run = spawnSync('tap', [...chosen, ...files], { cwd: REPOSITORY, env, stdio: 'inherit' });
process.exitCode = run.status ?? 1;
for (const { folder, tests, reason } of obstacles) {
  console.error(`# NOT RUN: test/${folder} (${tests}): ${reason}`);
  if (process.env.CI === 'true') process.exitCode = 1;
}
