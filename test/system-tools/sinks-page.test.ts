/** The commands of docs/sinks.md, typed as they stand there, with Debian's sqlite3 and redis-cli. */
import { execFileSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import t, { type Test } from 'tap';
import { commandsOf } from '../../.ci/readme-commands.ts';
import { polled } from '../helpers/bounded.ts';
import { ApiClient } from '../helpers/clients/api-client.ts';
import { tempDir } from '../helpers/disks/temp-dir.ts';
import { ServiceProcess } from '../helpers/processes/service-process.ts';
import { startRedis } from '../helpers/servers/redis-server.ts';

const WAIT_MS_MAX = 30_000;
const COMMANDS = commandsOf(readFileSync(new URL('../../docs/sinks.md', import.meta.url), 'utf8'));
const EVENT = '{"product_id":"abc123","price":49.99,"stock":3}';

async function serve(t: Test, cwd: string, sinks: string): Promise<void> {
  const env = { SINKS: sinks, BATCH_FLUSH_INTERVAL: '10ms', MAX_MEMORY_USAGE: '16MB' };
  const service = await ServiceProcess.start(t, { cwd, env });
  const client = new ApiClient(await service.ready());
  const json = { 'content-type': 'application/json' };
  const { status } = await client.send('POST', '/api/v1/events?ack=applied', EVENT, json);
  t.equal(status, 200);
}

/** Asks until it prints something. */
function printed(cwd: string, command: string): Promise<string> {
  const ask = () => {
    try {
      return execFileSync('sh', ['-c', command], { cwd, encoding: 'utf8', stdio: 'pipe' });
    } catch {
      return '';
    }
  };
  const something = () => {
    const text = ask();
    return text.trim() === '' ? undefined : text;
  };
  return polled(something, WAIT_MS_MAX, command);
}

t.test('a file of SQLite, read while the service runs', async (t) => {
  const start = COMMANDS.find((command) => command.endsWith(' npm start'));
  const query = COMMANDS.find((command) => command.startsWith('sqlite3 '));
  const [, sinks = ''] = /^SINKS=(\S+)/.exec(start ?? '') ?? [];
  const cwd = tempDir(t);
  await serve(t, cwd, sinks);
  t.equal(await printed(cwd, query ?? ''), 'abc123|49.99|3\n');
});

t.test('a hash of Redis', async (t) => {
  const query = COMMANDS.find((command) => command.startsWith('redis-cli ')) ?? '';
  const redis = await startRedis(t);
  const cwd = tempDir(t);
  await serve(t, cwd, redis.url);
  const text = await printed(
    cwd,
    query.replace('redis-cli ', `redis-cli -p ${redis.process.port} `),
  );
  t.match(text, /price\n49\.99\n/);
  t.match(text, /listed\n1\n/);
});

t.test('no other command stands there', (t) => {
  t.equal(COMMANDS.length, 3);
  t.end();
});
