/** docs/durability.md: every command in it does what it says, in a clone of its own, in its order. */
import { execFile } from 'node:child_process';
import { readFileSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import t, { type Test } from 'tap';
import { commandsOf } from '../../.ci/readme-commands.ts';
import { ApiClient } from '../helpers/clients/api-client.ts';
import { newestSegment } from '../helpers/disks/log-frames.ts';
import { tempDir } from '../helpers/disks/temp-dir.ts';
import { ServiceProcess } from '../helpers/processes/service-process.ts';

const REPOSITORY = fileURLToPath(new URL('../../', import.meta.url));
const COMMAND_MS_MAX = 120_000;
const EVENTS = 40;
const ENV = { MAX_MEMORY_USAGE: '16MB', SHARDS: '8' };

interface PageCommand {
  readonly command: string;
  /** What it should exit with: 0, or what the comment behind it says. */
  readonly code: number;
}

const page = readFileSync(join(REPOSITORY, 'docs/durability.md'), 'utf8');

/** The commands under one heading; fences within lists are indented. */
function commandsUnder(heading: string): PageCommand[] {
  const section = page.split(/^## /m).find((text) => text.startsWith(`${heading}\n`));
  if (section === undefined) throw new Error(`no section ${heading}`);
  return commandsOf(section.replaceAll(/^ +/gm, '')).map((line) => {
    const [command = '', comment = ''] = line.split(/\s+# /);
    return { command, code: Number(/^exit (\d)/.exec(comment)?.[1] ?? 0) };
  });
}

/** What a command needs of a clone, with a working folder in which `./data` is its own. */
function clone(t: Test): string {
  const folder = tempDir(t);
  for (const name of ['package.json', 'node_modules', 'bin', 'src', 'workers']) {
    symlinkSync(join(REPOSITORY, name), join(folder, name));
  }
  return folder;
}

function run(cwd: string, command: string): Promise<{ code: number; output: string }> {
  const { PATH = '', HOME = cwd, NODE_COMPILE_CACHE = '' } = process.env;
  const env = { ...ENV, PATH, HOME, NODE_COMPILE_CACHE };
  return new Promise((resolve) => {
    const options = { cwd, env, timeout: COMMAND_MS_MAX };
    execFile('sh', ['-c', command], options, (error, stdout, stderr) => {
      const code = error === null ? 0 : typeof error.code === 'number' ? error.code : -1;
      resolve({ code, output: stdout + stderr });
    });
  });
}

/** Runs them in order; `npm start` is the service itself, which the check then gets. */
async function runAll(
  t: Test,
  cwd: string,
  commands: readonly PageCommand[],
  check: (port: number) => Promise<void>,
): Promise<void> {
  for (const { command, code } of commands) {
    if (command === 'npm start') {
      const service = await ServiceProcess.start(t, { cwd, env: ENV });
      await check(await service.ready());
      t.strictSame(await service.stop(), { code: 0, signal: null });
    } else {
      const done = await run(cwd, command);
      t.equal(done.code, code, `${command}: ${done.output}`);
    }
  }
}

async function post(port: number, from: number, to: number): Promise<void> {
  const client = new ApiClient(port);
  for (let i = from; i < to; i++) {
    const { status } = await client.post({ product_id: `p${i}`, price: i, stock: i });
    if (status !== 202) throw new Error(`POST: ${status}`);
  }
  client.close();
}

async function products(port: number): Promise<string[]> {
  const client = new ApiClient(port);
  const found: string[] = [];
  for (let i = 0; i < 2 * EVENTS; i++) {
    if ((await client.product(`p${i}`)) !== undefined) found.push(`p${i}`);
  }
  client.close();
  return found;
}

const names = (count: number, without = -1) =>
  Array.from({ length: count }, (_, i) => `p${i}`).filter((name) => name !== `p${without}`);

t.test('the whole page, from the first backup to the repaired folder', async (t) => {
  const cwd = clone(t);
  const service = await ServiceProcess.start(t, { cwd, env: ENV });
  const port = await service.ready();
  await post(port, 0, EVENTS);

  const nothing = () => Promise.reject(new Error('no start expected'));
  await runAll(t, cwd, commandsUnder('Verify'), nothing);
  await runAll(t, cwd, commandsUnder('Back up'), nothing);
  await post(port, EVENTS, 2 * EVENTS);
  t.strictSame(await service.stop(), { code: 0, signal: null });

  await runAll(t, cwd, commandsUnder('Restore'), async (port) => {
    t.strictSame(await products(port), names(EVENTS), 'the backup serves');
    await post(port, EVENTS, EVENTS + 5);
  });
  // The copy made by hand restores as well.
  const byHand = commandsUnder('Restore').map(({ command, code }) => ({
    command: command.replace('./backup', './copy').replace('./data.before', './data.second'),
    code,
  }));
  await runAll(t, cwd, byHand, async (port) => {
    t.strictSame(await products(port), names(EVENTS), 'so does the copy made by hand');
    await post(port, EVENTS, EVENTS + 5);
  });

  // Killed, so that no checkpoint covers what is damaged now.
  const killed = await ServiceProcess.start(t, { cwd, env: { ...ENV, DATA_DIR: './fresh' } });
  await post(await killed.ready(), 0, EVENTS);
  await killed.crash();
  const { path, bytes, frames } = newestSegment(join(cwd, 'fresh'));
  bytes[(frames[7]?.offsetBytes ?? 0) + 100] ^= 1;
  writeFileSync(path, bytes);
  t.equal((await run(cwd, 'rm -r ./data && mv ./fresh ./data')).code, 0);
  const refused = ServiceProcess.spawn(t, { cwd, env: ENV });
  t.equal((await refused.exit()).code, 1);
  t.match(refused.stderr, /is damaged at byte \d+: .*`npm run verify`.*docs\/durability\.md/);

  await runAll(t, cwd, commandsUnder('When the start is refused'), async (port) => {
    const lost = JSON.parse(readFileSync(join(cwd, 'data/repair-report.json'), 'utf8')).lost;
    t.strictSame(lost, [{ fromSeq: 8, toSeq: 8, events: 1 }]);
    t.strictSame(await products(port), names(EVENTS, 7), 'all but the lost one');
  });
});

t.test('every command of the page is in one of these sections', (t) => {
  const all = commandsOf(page.replaceAll(/^ +/gm, ''));
  const sections = ['Verify', 'Back up', 'Restore', 'When the start is refused'];
  t.equal(sections.flatMap(commandsUnder).length, all.length);
  t.ok(all.length >= 15);
  t.end();
});
