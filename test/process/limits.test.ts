/** Whether a configuration fits a machine: what is counted, refused, warned of and named as fitting. */
import t from 'tap';
import { loadConfig } from '../../src/config/load.ts';
import { fitOf } from '../../src/process/limits.ts';
import { type Machine, readMachine } from '../../src/process/machine.ts';
import { planStore } from '../../src/store/sizing.ts';
import { createSharedMemory, sharedMemoryBytes } from '../../src/write-path/memory.ts';
import { memoryOptionsOf } from '../../src/write-path/memory-options.ts';

const MB = 1 << 20;

function machine(own: Partial<Machine> = {}): Machine {
  return { memoryBytes: 2 ** 40, memoryOwner: 'this machine has', filesMax: undefined, ...own };
}

/** Bytes of all buffers in it, however deep. */
function bytesIn(memory: unknown): number {
  if (memory instanceof SharedArrayBuffer) return memory.byteLength;
  if (typeof memory !== 'object' || memory === null) return 0;
  return Object.values(memory).reduce<number>((sum, value) => sum + bytesIn(value), 0);
}

t.test('the shared memory is known to the byte before it is allocated', (t) => {
  for (const env of [
    { MAX_MEMORY_USAGE: '16MB' },
    { MAX_MEMORY_USAGE: '4KB', SHARDS: '1', WORKERS: '1', QUEUE_SIZE: '1', BULK_QUEUE_SIZE: '1' },
    {
      MAX_MEMORY_USAGE: '3333KB',
      SHARDS: '7',
      WORKERS: '5',
      QUEUE_SIZE: '30000',
      BULK_QUEUE_SIZE: '100',
      DEDUPE_WINDOW: '5000',
      OUTCOME_WINDOW: '70000',
      HTTP_THREADS: '3',
    },
  ]) {
    const config = loadConfig(env);
    const options = memoryOptionsOf(config, planStore(config.storeBytesMax, config.shards));
    const allocated = bytesIn(createSharedMemory(options));
    t.equal(sharedMemoryBytes(options), allocated);
    t.ok(fitOf(config, machine()).memoryBytes > allocated + 100 * MB, 'and the program');
    const several = { ...options, producers: 6 };
    t.equal(sharedMemoryBytes(several), bytesIn(createSharedMemory(several)));
  }
  t.end();
});

t.test('what can not fit is refused, with the figure that does', (t) => {
  const limited = machine({
    memoryBytes: 600 * MB,
    memoryOwner: 'its cgroup (container) allows',
  });
  const [fault = '', ...others] = fitOf(loadConfig({}), limited).faults;
  t.same(others, []);
  t.match(
    fault,
    /^MAX_MEMORY_USAGE=1GB makes \d+MB with .*, but its cgroup \(container\) allows 600MB: /,
  );
  const figure = /: MAX_MEMORY_USAGE=(\d+MB) fits$/.exec(fault)?.[1];
  t.ok(figure, fault);
  t.same(fitOf(loadConfig({ MAX_MEMORY_USAGE: figure }), limited).faults, [], `${figure} fits`);
  const more = `${Number.parseInt(figure ?? '', 10) + 2}MB`;
  t.equal(fitOf(loadConfig({ MAX_MEMORY_USAGE: more }), limited).faults.length, 1, 'and no more');

  const huge = loadConfig({ MAX_MEMORY_USAGE: '2TB', SHARDS: '1024' });
  t.match(fitOf(huge, machine({ memoryBytes: 24 * 1024 * MB })).faults, [
    /^MAX_MEMORY_USAGE=2TB makes .*, but this machine has 24576MB: MAX_MEMORY_USAGE=\d+MB fits$/,
  ]);
  t.match(fitOf(loadConfig({}), machine({ memoryBytes: 100 * MB })).faults, [
    /: no MAX_MEMORY_USAGE fits: give it more memory, or lower DEDUPE_WINDOW/,
  ]);
  t.end();
});

t.test('many large batches are warned of', (t) => {
  const config = loadConfig({ MAX_MEMORY_USAGE: '64MB' });
  const { memoryBytes } = fitOf(config, machine());
  const withRoomFor = (bytes: number) =>
    fitOf(config, machine({ memoryBytes: memoryBytes + bytes }));
  t.same(withRoomFor(8 * 64 * MB).warnings, [], '8 batches that take 64 MB each');
  const { faults, warnings } = withRoomFor(3 * 64 * MB);
  t.same(faults, []);
  t.match(warnings, [
    /^8 batches of BATCH_LIMIT=16MB at a time would .*: BATCH_CONCURRENCY=3 fits$/,
  ]);
  t.match(withRoomFor(MB).warnings, [/: a lower BATCH_LIMIT or MAX_MEMORY_USAGE fits$/]);
  t.end();
});

t.test('connections leave the log its descriptors', (t) => {
  const config = loadConfig({ WORKERS: '3' });
  t.match(fitOf(config, machine({ filesMax: 20_000 })), {
    httpConnectionsMax: 10_000,
    warnings: [],
  });
  t.match(fitOf(config, machine()), { httpConnectionsMax: 10_000, warnings: [] }, 'if unknown');
  t.match(fitOf(config, machine({ filesMax: 1024 })), {
    faults: [],
    httpConnectionsMax: 936,
    warnings: [
      '936 connections at the most, not HTTP_MAX_CONNECTIONS=10000: 1024 files may be open (ulimit -n) and 88 are kept for the log',
    ],
  });
  t.match(fitOf(config, machine({ filesMax: 90 })).faults, [/^90 open files are too few/]);
  t.end();
});

t.test('this machine', (t) => {
  const { memoryBytes, filesMax } = readMachine();
  t.ok(memoryBytes > 64 * MB && memoryBytes < 2 ** 50, `${memoryBytes}`);
  if (process.platform === 'linux') t.ok(filesMax !== undefined && filesMax > 0, `${filesMax}`);
  t.end();
});
