/** Debian's slowhttptest, a thousand sockets at a time: the others are served, and the slow ones closed. */
import { spawn } from 'node:child_process';
import t, { type Test } from 'tap';
import { bounded } from '../helpers/bounded.ts';
import { ApiClient } from '../helpers/clients/api-client.ts';
import { lines, sendBatch } from '../helpers/clients/batch-client.ts';
import { tempDir } from '../helpers/disks/temp-dir.ts';
import { ServiceProcess } from '../helpers/processes/service-process.ts';

const PRODUCTS = 1000;
const WAIT_MS_MAX = 120_000;
/**
 * The tool ends by itself once it sees all its sockets closed. A slow reader never does: what it was answered
 * lies in the kernel before the end of the connection.
 */
const SECONDS_MAX: Readonly<Record<string, string>> = { 'slow readers': '40' };
const SECONDS_MAX_OF_OTHERS = '90';
/** Of the healthy clients, and whoever looks. */
const CONNECTIONS_LEFT_MAX = 20;

/**
 * A thousand sockets each. Slow readers ask for a page of 200 KB five times and take 16 bytes each two seconds (the tool
 * sends no Accept with `-X`, so an export is test/system/slow-readers.test.ts's).
 */
const ATTACKS: Readonly<Record<string, readonly string[]>> = {
  'slow headers': ['-H', '-c', '1000', '-i', '2', '-x', '10', '-t', 'GET'],
  'slow bodies': [
    '-B',
    '-c',
    '1000',
    '-i',
    '2',
    '-x',
    '10',
    '-t',
    'POST',
    '-f',
    'application/json',
  ],
  'slow readers': ['-X', '-c', '1000', '-w', '10', '-y', '20', '-n', '2', '-z', '16', '-k', '5'],
};
const PATHS: Readonly<Record<string, string>> = {
  'slow bodies': '/api/v1/events',
  'slow readers': '/api/v1/products?limit=1000&view=full',
};

/** Longer than a machine stands still on which the healthy clients are, too. */
const env = {
  HEADERS_TIMEOUT: '8s',
  REQUEST_TIMEOUT: '10s',
  KEEP_ALIVE_TIMEOUT: '10s',
  ANSWER_TIMEOUT: '10s',
};
const service = await ServiceProcess.start(t, { cwd: tempDir(t), env });
const port = await service.ready();
await sendBatch(port, lines(PRODUCTS), { query: '?ack=applied' });

/** Runs it to its end; resolves to what it printed last. */
function attack(t: Test, name: string, options: readonly string[]): Promise<string> {
  const path = PATHS[name] ?? '/';
  const seconds = SECONDS_MAX[name] ?? SECONDS_MAX_OF_OTHERS;
  const url = `http://127.0.0.1:${port}${path}`;
  const args = [...options, '-r', '250', '-p', '30', '-l', seconds, '-u', url];
  const tool = spawn('slowhttptest', args, { stdio: ['ignore', 'pipe', 'pipe'] });
  t.teardown(() => tool.kill('SIGKILL'));
  let text = '';
  for (const stream of [tool.stdout, tool.stderr]) {
    stream.setEncoding('utf8').on('data', (piece: string) => {
      text += piece;
    });
  }
  const ended = new Promise<string>((resolve) => tool.on('close', () => resolve(text)));
  return bounded(ended, WAIT_MS_MAX, 'slowhttptest to end');
}

/** As HTTP's libraries do: once more where a connection was idle for too long, on a machine that is slow for a while. */
async function asked<T>(ask: () => Promise<T>): Promise<T> {
  return ask().catch((error: { readonly onNewConnection?: boolean }) => {
    if (error.onNewConnection === false) return ask();
    throw error;
  });
}

/** As the service counts them. */
async function openConnections(client: ApiClient): Promise<number> {
  const { text } = await asked(() => client.get('/metrics'));
  return Number(/^product_service_http_connections (\d+)/m.exec(text)?.[1]);
}

for (const [name, options] of Object.entries(ATTACKS)) {
  t.test(`${name}: nobody else notices, and all of them are closed`, async (t) => {
    const client = new ApiClient(port, 4);
    t.teardown(() => client.close());
    let isOver = false;
    const attacking = attack(t, name, options).finally(() => {
      isOver = true;
    });
    const statuses: Record<number, number> = {};
    let [connections, connectionsMost] = [0, 0];
    while (!isOver) {
      const answers = await Promise.all([
        asked(() => client.post({ product_id: 'healthy', price: 1, stock: 1 })),
        asked(() => client.get('/api/v1/products/p1')),
        asked(() => client.get('/readyz')),
        sendBatch(port, lines(100)),
      ]);
      connections = await openConnections(client);
      connectionsMost = Math.max(connections, connectionsMost);
      for (const { status } of answers) statuses[status] = (statuses[status] ?? 0) + 1;
    }
    const report = await attacking;
    const { 200: reads = 0, 202: writes = 0, ...others } = statuses;
    t.strictSame(others, {}, 'every healthy request was served');
    t.ok(reads > 10 && writes > 10, `${reads} reads, ${writes} writes meanwhile`);
    t.ok(connectionsMost > 250, `${connectionsMost} connections at once`);
    if (name === 'slow readers') t.ok(connections <= CONNECTIONS_LEFT_MAX, 'all were closed');
    else t.match(report, /No open connections left/, 'not its own time ended it');
    t.notMatch(report, /service available: *(\S*\[\S*)?NO/);
  });
}
