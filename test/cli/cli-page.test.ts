/** docs/cli.md: each block of commands, run in order against one service, prints what stands behind it. */
import { execFile } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { promisify } from 'node:util';
import t from 'tap';
import { referencePage } from '../../src/cli/command-help.ts';
import { tempDir } from '../helpers/disks/temp-dir.ts';
import { commandEnv, MAIN } from '../helpers/processes/command-line.ts';
import { startReadyService } from '../helpers/processes/service-in-process.ts';

const PAGE = new URL('../../docs/cli.md', import.meta.url);
const REFERENCE = new URL('../../docs/cli-reference.md', import.meta.url);
const BLOCKS = /^```sh\n([\s\S]*?)^```\n(?:```text\n([\s\S]*?)^```$)?/gm;
const TIME = /\d{4}-\d\d-\d\dT[\d:.]+Z/g;

t.test('every command of the page', async (t) => {
  const cwd = tempDir(t);
  const { port } = await startReadyService(t, { DATA_DIR: `${cwd}/data` });
  const blocks = [...readFileSync(PAGE, 'utf8').matchAll(BLOCKS)];
  t.ok(blocks.length >= 5);
  const program = `product-service() { '${process.execPath}' '${MAIN}' "$@"; }; set -e;`;
  for (const [, commands = '', shown] of blocks) {
    t.type(shown, 'string', `what is printed stands behind ${commands}`);
    const env = commandEnv({ port });
    const { stdout } = await promisify(execFile)('bash', ['-c', `${program} ${commands}`], {
      cwd,
      env,
    });
    t.equal(stdout.replaceAll(TIME, '…'), shown, commands);
  }
});

t.test('docs/cli-reference.md is the table of commands', (t) => {
  t.equal(readFileSync(REFERENCE, 'utf8'), referencePage(), 'npm run docs:cli writes it');
  t.end();
});
