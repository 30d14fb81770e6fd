/** What is written is what a reader of pprof's format reads. */
import { startCpuProfile } from 'node:v8';
import t from 'tap';
import { PprofBuilder } from '../../src/profiles/pprof.ts';
import {
  addCpuProfile,
  addHeapProfile,
  CPU_TYPES,
  type CpuProfile,
  HEAP_TYPES,
  parseProfile,
} from '../../src/profiles/v8-profiles.ts';
import { readPprof } from '../helpers/pprof-file.ts';

const START_MS = Date.UTC(2026, 10, 29);
const at = (functionName: string, url = '', lineNumber = -1) => ({ functionName, url, lineNumber });

function builder(sampleTypes = CPU_TYPES) {
  const period = { type: ['cpu', 'nanoseconds'], value: 1_000_000 } as const;
  return new PprofBuilder({
    sampleTypes,
    period,
    startMs: START_MS,
    durationMs: 1500.5,
    comments: ['not all of it'],
  });
}

t.test('numbers of every size, texts of every kind', (t) => {
  const profile = builder();
  const frame = { name: 'füñction "x"\n', file: '/a b/c.ts', line: 3_000_000_000 };
  const values = [0, 1, 127, 128, 16_384, 2 ** 31, 2 ** 32 + 5, Number.MAX_SAFE_INTEGER];
  profile.add('main', [frame], values);
  for (let i = 0; i < 300; i++)
    profile.add('log', [{ ...frame, name: `f${i}` }, frame], [i, i * i]);
  const read = readPprof(profile.gzipped());
  t.strictSame(read.sampleTypes, ['samples/count', 'cpu/nanoseconds']);
  t.match(read, {
    periodType: 'cpu/nanoseconds',
    period: 1_000_000,
    timeNanos: START_MS * 1e6,
    durationNanos: 1_500_500_000,
    comments: ['not all of it'],
  });
  const [first, ...others] = read.samples;
  t.strictSame(first, {
    stack: [frame.name],
    files: [frame.file],
    lines: [frame.line],
    values,
    labels: { thread: 'main' },
  });
  t.strictSame(
    others.map(({ stack, values, labels }) => [stack, values, labels.thread]),
    Array.from({ length: 300 }, (_, i) => [[`f${i}`, frame.name], [i, i * i], 'log']),
  );
  t.end();
});

t.test("V8's samples, but those of nothing and of sleep", (t) => {
  const profile = builder();
  addCpuProfile(
    profile,
    'applier',
    {
      nodes: [
        { id: 1, callFrame: at('(root)'), children: [2, 5, 6] },
        { id: 2, callFrame: at('run', 'file:///srv/with%20blank/a.ts', 9), children: [3, 4] },
        { id: 3, callFrame: at('', 'file:///srv/b.ts', 0) },
        { id: 4, callFrame: at('sleep', 'file:///srv/c.ts', 1) },
        { id: 5, callFrame: at('(idle)') },
        { id: 6, callFrame: at('(garbage collector)') },
      ],
      samples: [2, 3, 3, 4, 5, 6, 2],
      timeDeltas: [10, 20, 30, 40, 50, 60, -5],
    },
    1_000_000,
    ({ name }) => name === 'sleep',
  );
  const { samples } = readPprof(profile.gzipped());
  t.strictSame(
    samples.map(({ stack, files, lines, values }) => ({ stack, files, lines, values })),
    [
      { stack: ['run'], files: ['/srv/with blank/a.ts'], lines: [10], values: [2, 10_000] },
      {
        stack: ['(anonymous in b.ts)', 'run'],
        files: ['/srv/b.ts', '/srv/with blank/a.ts'],
        lines: [1, 10],
        values: [2, 50_000],
      },
      { stack: ['(garbage collector)'], files: [''], lines: [0], values: [1, 60_000] },
    ],
  );
  t.end();
});

t.test('no thread has more time than the kernel gave it, and each function its share', (t) => {
  const profile = builder();
  const nodes = [
    { id: 1, callFrame: at('(root)'), children: [2, 3] },
    { id: 2, callFrame: at('work') },
    { id: 3, callFrame: at('inlined sleep') },
  ];
  const taken = { nodes, samples: [2, 3, 3, 3], timeDeltas: [1000, 1000, 1000, 1000] };
  addCpuProfile(profile, 'log', taken, 400, () => false);
  addCpuProfile(profile, 'main', taken, 0, () => false);
  const { samples } = readPprof(profile.gzipped());
  t.strictSame(
    samples.map(({ labels, stack, values }) => [labels.thread, stack[0], values]),
    [
      ['log', 'work', [1, 100_000]],
      ['log', 'inlined sleep', [3, 300_000]],
      ['main', 'work', [1, 0]],
      ['main', 'inlined sleep', [3, 0]],
    ],
  );
  t.end();
});

t.test('a sampled heap', (t) => {
  const profile = builder(HEAP_TYPES);
  const leaf = { id: 3, callFrame: at('make', 'node:x', 4), selfSize: 96, children: [] };
  const run = { id: 2, callFrame: at('run', 'node:x', 1), selfSize: 0, children: [leaf] };
  const samples = [
    { nodeId: 3, size: 32 },
    { nodeId: 3, size: 64 },
  ];
  const head = { id: 1, callFrame: at('(root)'), selfSize: 8, children: [run] };
  addHeapProfile(profile, 'main', { head, samples });
  const read = readPprof(profile.gzipped());
  t.strictSame(read.sampleTypes, ['inuse_objects/count', 'inuse_space/bytes']);
  t.match(read.samples, [{ stack: ['make', 'run'], lines: [5, 2], values: [2, 96] }]);
  t.end();
});

t.test('a profile of Node in which a regular expression has quotes and backslashes', (t) => {
  const text = 'ab"c\\d 12 '.repeat(3000);
  for (let tries = 1; ; tries++) {
    // V8 knows the names only of those it compiled while the profile was taken: a new one each time.
    const pattern = new RegExp(`(\\d+)\\s*"x{${tries}}`);
    const name = `RegExp: ${pattern.source}`;
    const handle = startCpuProfile();
    const before = process.cpuUsage();
    do pattern.test(text);
    while (process.cpuUsage(before).user < 50_000);
    const { nodes } = parseProfile<CpuProfile>(handle.stop());
    const found = nodes.some(({ callFrame }) => callFrame.functionName === name);
    // Whether a sample falls into it is the machine's luck.
    if (!found && tries < 100) continue;
    t.ok(found, `${name}, try ${tries}`);
    break;
  }
  const clean = { nodes: [{ id: 1, callFrame: at('a\\b "c"') }], samples: [1], timeDeltas: [1] };
  t.strictSame(parseProfile(JSON.stringify(clean)), clean, 'what is JSON stays');
  t.end();
});
