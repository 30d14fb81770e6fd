/** The simulated disk keeps what was flushed, and takes everything else back in every way it can. */
import t from 'tap';
import { Random } from '../helpers/models/random.ts';
import { SimulatedDisk } from './simulated-disk.ts';

const SEEDS = 300;
const BYTES = 2048;

function diskWithFile(): { disk: SimulatedDisk; file: number } {
  const disk = new SimulatedDisk();
  disk.makeFolder('/d');
  disk.syncFolder('/');
  const file = disk.create('/d/f');
  disk.syncFolder('/d');
  return { disk, file };
}

function put(disk: SimulatedDisk, file: number, byte: number): void {
  disk.write(file, Buffer.alloc(BYTES, byte), 0, BYTES, 0);
}

/** What is in /d/f: the lengths of its runs of equal bytes. */
function runs(disk: SimulatedDisk): string {
  const [found] = disk.files('/d');
  const bytes = found === undefined ? 'no file' : found.node.cached.toString('latin1');
  return bytes.replace(/([\s\S])\1*/g, (run) => `${run.charCodeAt(0)}×${run.length} `).trim();
}

/** The different outcomes of `work` over many seeds. */
function outcomes(work: (random: Random) => string): string[] {
  const seen = new Set<string>();
  for (let seed = 0; seed < SEEDS; seed++) seen.add(work(new Random(seed * 7919)));
  return [...seen];
}

t.test('what was flushed is there after every power loss', (t) => {
  const seen = outcomes((random) => {
    const { disk, file } = diskWithFile();
    put(disk, file, 1);
    disk.syncData(file);
    disk.powerLoss(random);
    return runs(disk);
  });
  t.same(seen, ['1×2048']);
  t.end();
});

t.test('an unflushed write is lost, kept, torn at any byte, or kept in some sectors', (t) => {
  const seen = outcomes((random) => {
    const { disk, file } = diskWithFile();
    put(disk, file, 1);
    disk.syncData(file);
    put(disk, file, 2);
    disk.powerLoss(random);
    return runs(disk);
  });
  t.ok(seen.includes('1×2048') && seen.includes('2×2048'), 'lost and kept');
  t.ok(
    seen.some((runs) => /^2×\d+ 1×\d+$/.test(runs) && !/^2×(512|1024|1536) /.test(runs)),
    'torn',
  );
  t.ok(seen.includes('1×512 2×512 1×1024') || seen.includes('1×512 2×1024 1×512'), 'sectors');
  t.end();
});

t.test('a file that grew may be longer and hold zeros', (t) => {
  const seen = outcomes((random) => {
    const { disk, file } = diskWithFile();
    put(disk, file, 1);
    disk.powerLoss(random);
    return runs(disk);
  });
  t.ok(seen.includes('0×2048'));
  t.end();
});

t.test(
  'after a failed flush the data can be read and a second flush succeeds, with it lost',
  (t) => {
    const seen = outcomes((random) => {
      const { disk, file } = diskWithFile();
      put(disk, file, 1);
      disk.failSync(file, random);
      const before = runs(disk);
      disk.syncData(file);
      disk.powerLoss(random);
      return `${before} → ${runs(disk)}`;
    });
    t.ok(seen.includes('1×2048 → '), 'shown and lost');
    t.ok(seen.includes(' → '), 'evicted at once');
    t.ok(seen.includes('1×2048 → 1×2048'), 'kept');
    t.end();
  },
);

t.test('names made, renamed and removed are lost or kept each by itself, a rename as one', (t) => {
  const seen = outcomes((random) => {
    const { disk, file } = diskWithFile();
    put(disk, file, 1);
    disk.syncData(file);
    disk.close(disk.create('/d/g'));
    disk.rename('/d/f', '/d/h');
    disk.powerLoss(random);
    return disk.list('/d').sort().join();
  });
  t.same(seen.sort(), ['f', 'f,g', 'g,h', 'h']);
  t.end();
});

t.test('a process that ends loses its descriptors and nothing else', (t) => {
  const { disk, file } = diskWithFile();
  put(disk, file, 1);
  disk.processEnds();
  t.equal(runs(disk), '1×2048');
  t.throws(() => disk.size(file), { code: 'EBADF' });
  t.throws(() => disk.open('/d/none'), { code: 'ENOENT' });
  t.end();
});

t.test('a folder is not renamed over one that holds something', (t) => {
  const { disk } = diskWithFile();
  disk.makeFolder('/e');
  t.throws(() => disk.rename('/e', '/d'), { code: 'ENOTEMPTY' });
  t.end();
});
