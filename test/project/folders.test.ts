/** The folders of src point at each other one way only, as listed here, and ARCHITECTURE tells of each. */
import { readdirSync, readFileSync } from 'node:fs';
import { dirname, join, relative, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';
import t from 'tap';

const REPOSITORY = fileURLToPath(new URL('../../', import.meta.url));
const SRC = join(REPOSITORY, 'src');
const IMPORT = /(?:\bfrom|\bimport\()\s*'(\.[^']+)'/g;

/** What each folder, or file beside the folders, may import. From the ground up. */
const ARROWS: Readonly<Record<string, readonly string[]>> = {
  config: [],
  'deadline.ts': [],
  errors: [],
  'later-turns.ts': [],
  'lifecycle.ts': [],
  metrics: [],
  ring: [],
  profiles: ['deadline.ts'],
  tracing: [],
  sqlite: [],
  postgres: [],
  threads: [],
  time: [],
  auth: ['config'],
  event: ['errors', 'ring', 'time'],
  outcome: ['ring'],
  health: ['lifecycle.ts', 'metrics', 'ring'],
  store: ['metrics', 'ring', 'threads'],
  dedupe: ['ring', 'threads', 'store'],
  limits: ['config', 'threads', 'store'],
  intake: ['metrics', 'ring', 'threads', 'event', 'store'],
  bulk: ['errors', 'later-turns.ts', 'ring', 'time', 'event', 'store', 'dedupe', 'intake'],
  log: ['deadline.ts', 'metrics', 'ring', 'dedupe'],
  apply: ['metrics', 'ring', 'threads', 'outcome', 'store', 'log'],
  changes: [
    'deadline.ts',
    'metrics',
    'ring',
    'threads',
    'time',
    'outcome',
    'store',
    'apply',
    'log',
  ],
  history: [
    'config',
    'deadline.ts',
    'lifecycle.ts',
    'metrics',
    'ring',
    'threads',
    'outcome',
    'store',
    'log',
    'postgres',
    'sqlite',
    'changes',
  ],
  cleanup: ['metrics', 'ring', 'threads', 'store', 'intake'],
  checkpoint: ['config', 'metrics', 'ring', 'threads', 'outcome', 'store', 'dedupe', 'log'],
  http: [
    'auth',
    'config',
    'errors',
    'later-turns.ts',
    'lifecycle.ts',
    'metrics',
    'ring',
    'threads',
    'time',
    'event',
    'outcome',
    'store',
    'apply',
    'intake',
    'bulk',
    'changes',
    'history',
    'limits',
  ],
  folder: ['deadline.ts', 'log', 'checkpoint'],
  sinks: [
    'config',
    'deadline.ts',
    'lifecycle.ts',
    'metrics',
    'ring',
    'postgres',
    'sqlite',
    'threads',
    'time',
    'event',
    'store',
    'intake',
    'log',
    'apply',
    'changes',
  ],
  recovery: ['ring', 'threads', 'outcome', 'store', 'dedupe', 'log', 'checkpoint'],
  replication: ['config', 'metrics', 'ring', 'threads', 'store', 'dedupe', 'log'],
  'write-path': [
    'metrics',
    'ring',
    'threads',
    'outcome',
    'store',
    'apply',
    'dedupe',
    'intake',
    'log',
    'recovery',
    'replication',
  ],
  'assembly.ts': [
    'config',
    'limits',
    'cleanup',
    'ring',
    'metrics',
    'threads',
    'time',
    'store',
    'log',
    'changes',
    'checkpoint',
    'history',
    'folder',
    'health',
    'sinks',
    'write-path',
    'tracing',
  ],
  maintenance: [
    'config',
    'ring',
    'threads',
    'outcome',
    'store',
    'dedupe',
    'log',
    'sqlite',
    'checkpoint',
    'history',
    'recovery',
    'replication',
    'write-path',
  ],
  joining: ['config', 'log', 'maintenance', 'replication'],
  'http-threads': [
    'auth',
    'config',
    'deadline.ts',
    'lifecycle.ts',
    'metrics',
    'ring',
    'limits',
    'bulk',
    'log',
    'apply',
    'changes',
    'health',
    'history',
    'http',
    'tracing',
    'write-path',
  ],
  'service.ts': [
    'cleanup',
    'deadline.ts',
    'lifecycle.ts',
    'metrics',
    'log',
    'changes',
    'checkpoint',
    'folder',
    'health',
    'history',
    'sinks',
    'http-threads',
    'write-path',
    'assembly.ts',
    'profiles',
    'tracing',
  ],
  process: [
    'auth',
    'config',
    'ring',
    'store',
    'log',
    'checkpoint',
    'recovery',
    'replication',
    'write-path',
    'maintenance',
    'joining',
    'service.ts',
    'tracing',
  ],
  feeds: ['bulk'],
  cli: [
    'config',
    'errors',
    'ring',
    'event',
    'store',
    'bulk',
    'feeds',
    'http',
    'replication',
    'joining',
    'process',
  ],
  'main.ts': ['process', 'cli'],
};

/** The folder of a source file, or its own name if it stands beside them. */
function placeOf(file: string): string {
  return relative(SRC, file).split('/')[0];
}

function sourceFiles(): string[] {
  return readdirSync(SRC, { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile() && entry.name.endsWith('.ts'))
    .map((entry) => join(entry.parentPath, entry.name));
}

/** Which places each place imports, each with one file that does. */
function arrows(): Map<string, Map<string, string>> {
  const found = new Map<string, Map<string, string>>();
  for (const file of sourceFiles()) {
    const from = placeOf(file);
    const targets = found.get(from) ?? new Map<string, string>();
    found.set(from, targets);
    for (const [, path = ''] of readFileSync(file, 'utf8').matchAll(IMPORT)) {
      const to = placeOf(resolve(dirname(file), path));
      if (to !== from) targets.set(to, relative(REPOSITORY, file));
    }
  }
  return found;
}

t.test('each arrow between folders is a listed one, and each listed one is there', (t) => {
  const found = arrows();
  t.strictSame([...found.keys()].sort(), Object.keys(ARROWS).sort());
  for (const [from, targets] of found) {
    for (const [to, file] of targets) {
      t.ok(ARROWS[from]?.includes(to), `${from} may import ${to}, as ${file} does`);
    }
    for (const to of ARROWS[from] ?? []) t.ok(targets.has(to), `${from} imports ${to}`);
  }
  t.end();
});

t.test('the listed arrows go round in no circle', (t) => {
  const done = new Set<string>();
  for (const [place, targets] of Object.entries(ARROWS)) {
    for (const to of targets) t.ok(done.has(to), `${to} stands before ${place}`);
    done.add(place);
  }
  t.end();
});

t.test("ARCHITECTURE's code map has a row for each folder, and no other", (t) => {
  const architecture = readFileSync(join(REPOSITORY, 'ARCHITECTURE.md'), 'utf8');
  const rows = [...architecture.matchAll(/^\| `src\/([^`]+?)\/?` \|/gm)].map(([, name]) => name);
  t.strictSame(rows.toSorted(), readdirSync(SRC).toSorted());
  t.end();
});
