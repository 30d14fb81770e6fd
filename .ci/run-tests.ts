/**
 * Runs the tests: `npm test`, with tap's arguments behind it if there are any. Most need nothing but
 * Node. Those in test/system-faults put faults into real system calls and fill a real disk, for which
 * they need Linux, root and strace: this installs strace where it may (Debian, as root), and where
 * that can't be had it runs all others and says at the end what was not run. Under CI=true that
 * is a failure.
 */
import { spawnSync } from 'node:child_process';
import { mkdtempSync, readdirSync, rmdirSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';

const REPOSITORY = fileURLToPath(new URL('../', import.meta.url));
const FAULTS = 'test/system-faults';
const OTHERS = readdirSync(join(REPOSITORY, 'test'), { withFileTypes: true })
  .filter((entry) => entry.isDirectory() && entry.name !== 'system-faults')
  .map(({ name }) => `test/${name}/**/*.test.ts`);

/** Runs a command quietly; whether it succeeded. */
function succeeds(command: string, ...args: readonly string[]): boolean {
  return spawnSync(command, args, { stdio: 'ignore' }).status === 0;
}

/** Why real faults can't be had here, or `undefined` if they can. */
function obstacle(): string | undefined {
  if (process.platform !== 'linux') return 'they need Linux';
  if (process.getuid?.() !== 0) return 'they need root';
  if (!succeeds('strace', '--version') && succeeds('apt-get', '--version')) {
    console.log('# installing strace, which the fault tests need');
    if (!succeeds('apt-get', 'install', '-y', '-qq', '--no-install-recommends', 'strace')) {
      succeeds('apt-get', 'update', '-qq');
      succeeds('apt-get', 'install', '-y', '-qq', '--no-install-recommends', 'strace');
    }
  }
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

const chosen = process.argv.slice(2);
const missing = chosen.some((argument) => !argument.startsWith('-')) ? undefined : obstacle();
const files = missing === undefined ? [] : OTHERS;
// Hundreds of processes load the same modules: they strip and compile them once.
const env = { ...process.env, NODE_COMPILE_CACHE: join(REPOSITORY, 'node_modules/.cache/node') };
const run = spawnSync('tap', [...chosen, ...files], { cwd: REPOSITORY, env, stdio: 'inherit' });
process.exitCode = run.status ?? 1;
if (missing !== undefined) {
  console.error(`# NOT RUN: ${FAULTS} (real disk faults and full disks): ${missing}`);
  if (process.env.CI === 'true') process.exitCode = 1;
}
