/**
 * Another user than the service's: tools and starts say that they have no right, and who has, and
 * claim nothing about the data.
 */
import { chmodSync, chownSync, existsSync, readdirSync } from 'node:fs';
import { join } from 'node:path';
import t, { type Test } from 'tap';
import { troubleShown } from '../helpers/api/troubleshooting.ts';
import { BuiltData } from '../helpers/disks/built-data.ts';
import { tempDir } from '../helpers/disks/temp-dir.ts';
import { Random } from '../helpers/models/random.ts';
import { ServiceProcess } from '../helpers/processes/service-process.ts';

const OTHER = 65_534;
const AS_OTHER = [
  '/usr/bin/setpriv',
  `--reuid=${OTHER}`,
  `--regid=${OTHER}`,
  '--clear-groups',
] as const;
const ENV = { MAX_MEMORY_USAGE: '16MB', NODE_DISABLE_COMPILE_CACHE: '1' };

/** Healthy data of root's; the other user may enter the working folder and write to it. */
function build(t: Test): BuiltData {
  const cwd = tempDir(t);
  chmodSync(cwd, 0o777);
  const data = new BuiltData(join(cwd, 'data'), new Random(1));
  data.segment(5).checkpoint().segment(5).seal();
  return data;
}

/** What is closed to the other user, and what the line names. */
const CLOSED: Record<string, (data: BuiltData) => string> = {
  'the files': (data) => data.root,
  'the folder': (data) => {
    chmodSync(data.root, 0o700);
    return data.root;
  },
  'the checkpoints': (data) => {
    for (const path of [...data.segments, join(data.logFolder, 'newest')]) chmodSync(path, 0o644);
    return data.checkpointFolder;
  },
};

for (const [name, close] of Object.entries(CLOSED)) {
  t.test(`${name} closed to another user`, async (t) => {
    const data = build(t);
    const cwd = join(data.root, '..');
    const path = close(data);
    for (const args of [['verify', '--json'], ['backup', '--to', 'copy'], ['repair']]) {
      const tool = ServiceProcess.spawn(t, { cwd, args, env: ENV, under: AS_OTHER });
      t.strictSame(await tool.exit(), { code: 2, signal: null }, args.join(' '));
      t.equal(tool.stdout, '', 'it claims nothing');
      t.match(tool.stderr, /^product-service: nothing is known about the data: [^\n]+\n$/);
      t.match(tool.stderr, `${path}`);
      t.match(tool.stderr, `EACCES`);
      t.match(tool.stderr, `belongs to uid 0, and this is run by uid ${OTHER}: run it as`);
    }
    t.strictSame(readdirSync(cwd), ['data'], 'nothing was made');

    const service = ServiceProcess.spawn(t, { cwd, env: ENV, under: AS_OTHER });
    t.strictSame(await service.exit(), { code: 1, signal: null }, 'a start');
    t.match(
      service.stderr,
      /^product-service: can't use DATA_DIR [^\n]*EACCES[^\n]*uid 0[^\n]*\n$/,
    );
    t.match(service.stderr, troubleShown('Permission denied'));
    t.notOk(existsSync(join(data.root, 'lock')));

    const owner = ServiceProcess.spawn(t, { cwd, args: ['verify'], env: ENV });
    t.strictSame(await owner.exit(), { code: 0, signal: null }, 'the owner finds it whole');
  });
}

for (const [what, says] of [
  ['checkpoint', "can't read the checkpoint"],
  ['log', "can't open the log"],
] as const) {
  t.test(`a file of the ${what} that root made in the folder of the service user`, async (t) => {
    const data = build(t);
    const folders = [data.root, data.logFolder, data.checkpointFolder];
    for (const path of folders) chownSync(path, OTHER, OTHER);
    if (what === 'log') {
      for (const name of readdirSync(data.checkpointFolder, { recursive: true }))
        chownSync(join(data.checkpointFolder, `${name}`), OTHER, OTHER);
    }
    const cwd = join(data.root, '..');
    const service = ServiceProcess.spawn(t, { cwd, env: ENV, under: AS_OTHER });
    t.strictSame(await service.exit(), { code: 1, signal: null });
    t.match(service.stderr, new RegExp(`^product-service: ${says} [^\\n]*EACCES[^\\n]*\\n$`));
    t.match(service.stderr, `belongs to uid 0, and this is run by uid ${OTHER}`);
  });
}
