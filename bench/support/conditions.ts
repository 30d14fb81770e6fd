/**
 * Under which conditions figures came about: machine, versions, commit, load. Any process.
 */
import { execFileSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { availableParallelism, cpus, loadavg, release, totalmem, type } from 'node:os';

const PACKAGES = ['fastify', 'piscina', 'autocannon', 'pino'] as const;
const ROOT = new URL('../../', import.meta.url);

/** The conditions now of what runs in `env`, as pairs of a name and a text. */
export function conditions(env = process.env): readonly (readonly [string, string])[] {
  const gigabytes = Math.round(totalmem() / 2 ** 30);
  return [
    [
      'machine',
      `${cpus()[0]?.model.trim() ?? 'unknown CPU'}, ${availableParallelism()} cores, ${gigabytes} GB`,
    ],
    ['kernel', `${type()} ${release()}`],
    ['node', process.version],
    ['huge pages', hugePages(env)],
    ['packages', PACKAGES.map((name) => `${name} ${versionOf(name)}`).join(', ')],
    ['commit', commit()],
    ['date', new Date().toISOString()],
    ['load before', `${loadavg()[0]?.toFixed(2)} (one-minute average)`],
  ];
}

/** What the kernel allows, and whether glibc asks for them in `env`, as it does for the service. */
function hugePages(env: NodeJS.ProcessEnv): string {
  const asks = env.GLIBC_TUNABLES?.includes('hugetlb=1') === true;
  let allowed = 'unknown';
  try {
    const modes = readFileSync('/sys/kernel/mm/transparent_hugepage/enabled', 'utf8');
    allowed = /\[(\w+)\]/.exec(modes)?.[1] ?? allowed;
  } catch {
    // Only Linux says so.
  }
  return `${allowed}, ${asks ? '' : 'not '}asked for`;
}

function versionOf(name: string): string {
  const path = new URL(`node_modules/${name}/package.json`, ROOT);
  return String(JSON.parse(readFileSync(path, 'utf8')).version);
}

/** The commit, and whether src, workers or bench differ from it. */
function commit(): string {
  const git = (...args: string[]) =>
    execFileSync('git', args, {
      cwd: ROOT,
      encoding: 'utf8',
      stdio: ['ignore', 'pipe', 'ignore'],
    }).trim();
  try {
    const changed = git(
      'status',
      '--porcelain',
      '--',
      'src',
      'workers',
      'bench/*.ts',
      'package.json',
    );
    return git('rev-parse', '--short=12', 'HEAD') + (changed === '' ? '' : ' with local changes');
  } catch {
    return 'not a git checkout';
  }
}
