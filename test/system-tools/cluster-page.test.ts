/** The commands of docs/cluster.md, typed as they stand there, at Debian's NATS server. */

import { spawnSync } from 'node:child_process';
import { existsSync, readFileSync } from 'node:fs';
import t from 'tap';
import { commandsOf } from '../../.ci/readme-commands.ts';
import { tempDir } from '../helpers/disks/temp-dir.ts';
import { MAIN } from '../helpers/processes/command-line.ts';
import { startNats } from '../helpers/servers/nats-server.ts';

const COMMANDS = commandsOf(
  readFileSync(new URL('../../docs/cluster.md', import.meta.url), 'utf8'),
  // A new generation needs data: cluster-generation.test.ts.
).filter((command) => !command.includes('--from'));
const TRIES = 5;
const skip = !existsSync('/usr/sbin/nats-server') && process.env.CI !== 'true';

t.test('a cluster is begun once, and shown', { skip }, async (t) => {
  const cwd = tempDir(t);
  const typed = async () => {
    const { url } = await startNats(t);
    const script = COMMANDS.join('\n')
      .replace('nats://127.0.0.1:4222', url)
      .replaceAll('product-service ', `'${process.execPath}' '${MAIN}' `);
    return { script, ...spawnSync('sh', ['-ec', script], { cwd, encoding: 'utf8' }) };
  };
  let { script, stdout: printed, stderr } = await typed();
  // The commands wait for NATS for some seconds, and the machine may stand still.
  for (let tries = 1; /\btimeout\b/i.test(stderr) && tries < TRIES; tries++) {
    ({ script, stdout: printed, stderr } = await typed());
  }
  t.equal(stderr, '');
  t.match(printed, /^cluster shop: created/);
  t.match(JSON.parse(printed.slice(printed.indexOf('{'))), {
    cluster: 'shop',
    stream: { last: 1 },
  });
  const again = spawnSync('sh', ['-ec', script], { cwd, encoding: 'utf8' });
  t.match(again.stderr, /exists already/);
  t.equal(again.status, 1);
  t.end();
});
