/**
 * Runs the tests: `npm test`, with tap's arguments behind it if there are any. Most need nothing but
 * Node. Four folders need more: test/system-faults puts faults into real system calls and fills a real
 * disk (Linux, root, strace), test/system-cgroup limits memory as a container does, test/system-init runs a systemd, test/system-tools uses the programs that people use with the service
 * (Debian's packages, PACKAGES below). This installs what is missing where it may (Debian, as root), beside the
 * tests that need nothing, and then runs the rest; where something can't be had it says at the end what was not
 * run. Under CI=true that is a failure.
 */
import { spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
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
/** Those of the other folders. */
const PROGRAMS = { strace: '/usr/bin/strace', systemd: '/lib/systemd/systemd' };
/** Enough for a shell. */
const CGROUP_TRIAL_BYTES = 64 << 20;
/** What each folder that needs more than Node tests, and why it can't be run here, if it can't. */
const DEMANDING = {
  'system-faults': { tests: 'real disk faults and full disks', obstacle: faultObstacle },
  'system-cgroup': { tests: 'memory limits of containers', obstacle: cgroupObstacle },
  'system-init': { tests: 'the unit under a real systemd', obstacle: PrivateSystemd.obstacle },
  'system-tools': { tests: "the programs of the service's users", obstacle: toolObstacle },
};

/** Runs a command quietly; whether it succeeded. */
function succeeds(command: string, ...args: readonly string[]): boolean {
  return spawnSync(command, args, { stdio: 'ignore' }).status === 0;
}

/** Runs a command and resolves to its exit code. */
async function run(command: string, args: readonly string[], options: object): Promise<number> {
  const [code] = await once(spawn(command, args, options), 'close');
  return code ?? 1;
}

/** Installs Debian's packages that are missing, where that is allowed. */
async function install(files: Readonly<Record<string, string>>): Promise<void> {
  const packages = missingOf(files);
  if (packages.length === 0 || process.getuid?.() !== 0 || !succeeds('apt-get', '--version'))
    return;
  console.log(`# installing ${packages.join(', ')}, which tests need`);
  const args = ['install', '-y', '-qq', '--no-install-recommends', ...packages];
  if ((await run('apt-get', args, { stdio: 'ignore' })) === 0) return;
  await run('apt-get', ['update', '-qq'], { stdio: 'ignore' });
  await run('apt-get', args, { stdio: 'ignore' });
}

function missingOf(files: Readonly<Record<string, string>>): string[] {
  return Object.entries(files).flatMap(([name, file]) => (existsSync(file) ? [] : [name]));
}

/** Why the users' programs can't be had here, or `undefined` if they can. */
function toolObstacle(): string | undefined {
  const missing = missingOf(PACKAGES);
  return missing.length === 0 ? undefined : `${missing.join(', ')} missing`;
}

/** Why real faults can't be had here, or `undefined` if they can. */
function faultObstacle(): string | undefined {
  if (process.platform !== 'linux') return 'they need Linux';
  if (process.getuid?.() !== 0) return 'they need root';
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

const { NODE_OPTIONS = '' } = process.env;
const env = {
  ...process.env,
  // Hundreds of processes load the same modules: they strip and compile them once.
  NODE_COMPILE_CACHE: join(REPOSITORY, 'node_modules/.cache/node'),
  NODE_OPTIONS: `${NODE_OPTIONS} --import=${new URL('without-load-hooks.mjs', import.meta.url)}`,
};

/** Runs tap; its exit code. */
function tap(...args: readonly string[]): Promise<number> {
  return run('tap', args, { cwd: REPOSITORY, env, stdio: 'inherit' });
}

const chosen = process.argv.slice(2);
if (chosen.some((argument) => !argument.startsWith('-'))) {
  process.exitCode = await tap(...chosen);
} else {
  const testsOf = (folder: string) => `test/${folder}/**/*.test.ts`;
  const folders = readdirSync(join(REPOSITORY, 'test'), { withFileTypes: true })
    .filter((entry) => entry.isDirectory())
    .map(({ name }) => name);
  const undemanding = folders.filter((name) => !(name in DEMANDING)).map(testsOf);
  const [code] = await Promise.all([
    tap(...chosen, ...undemanding),
    install({ ...PACKAGES, ...PROGRAMS }),
  ]);
  const demanding: string[] = [];
  const omitted: string[] = [];
  for (const [folder, { tests, obstacle }] of Object.entries(DEMANDING)) {
    const reason = obstacle();
    if (reason === undefined) demanding.push(testsOf(folder));
    else omitted.push(`# NOT RUN: test/${folder} (${tests}): ${reason}`);
  }
  const codeOfDemanding = demanding.length === 0 ? 0 : await tap(...chosen, ...demanding);
  process.exitCode = code || codeOfDemanding;
  for (const line of omitted) {
    console.error(line);
    if (process.env.CI === 'true') process.exitCode = 1;
  }
}
