/** The commands that talk to a running service: what they print, and the exit codes that scripts go by. */
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import t from 'tap';
import { COMMANDS } from '../../src/cli/commands.ts';
import { polled } from '../helpers/bounded.ts';
import { sendBatch } from '../helpers/clients/batch-client.ts';
import { tempDir } from '../helpers/disks/temp-dir.ts';
import { runCommandLine, startCommand } from '../helpers/processes/command-line.ts';
import { startReadyService } from '../helpers/processes/service-in-process.ts';
import { ServiceProcess } from '../helpers/processes/service-process.ts';
import { freePort } from '../helpers/servers/free-port.ts';

const ONE_LINE = /^product-service: [^\n]+\n$/;
const WAIT_MS_MAX = 60_000;

t.test('COMMAND --help, help COMMAND and the exit codes of wrong usage', async (t) => {
  const cwd = tempDir(t);
  const helps = COMMANDS.slice(0, 4).map(async ({ name, options }) => {
    const shown = await runCommandLine(t, [name, '--help'], { cwd });
    t.match(shown, { code: 0, stderr: '' });
    t.match(shown.stdout, `Usage: product-service ${name}`);
    for (const option of options) t.match(shown.stdout, `--${option.name}`);
    t.strictSame(await runCommandLine(t, ['help', name], { cwd }), shown);
  });
  await Promise.all(helps);
  for (const args of [
    ['get'],
    ['put', 'a'],
    ['put', 'a', '--price', 'much'],
    ['put', 'a', '--delete', '--stock', '1'],
    ['put', 'a', '--stock', '1', '--if-match', 'W/"1"'],
    ['tail', '--since', '-1'],
    ['export', '--format', 'xml'],
    ['export', '--url', 'ftp://example.org'],
    ['get', 'a', '--token', 'two words'],
    ['tail', 'x'],
    ['top', 'x'],
    ['export', 'x.csv'],
    ['export', '--since', '1', '--full'],
    ['dead-letters', 'redrive', '1', '--source', 'postgres'],
    ['dead-letters', 'delete', '1', '--product', 'a'],
    ['dead-letters', 'redrive', '1', '--json'],
    ['dead-letters', 'delete', '--all', '--json'],
    ['cluster', 'status', '--size', '1GB'],
    ['cluster', 'status', '--replicas', '3'],
    ['cluster', 'status', '--from', 'data'],
    ['completion', 'tcsh'],
    ['help', 'nothing'],
  ]) {
    const { code, stdout, stderr } = await runCommandLine(t, args, { cwd });
    t.equal(code, 2, args.join(' '));
    t.equal(stdout, '');
    t.match(stderr, ONE_LINE);
  }
  t.strictSame(readdirSync(cwd), []);
});

t.test('a service that is not there is one line and exit code 1', async (t) => {
  const cwd = tempDir(t);
  const env = { PRODUCT_SERVICE_URL: 'http://127.0.0.1:9' };
  for (const args of [
    ['get', 'a'],
    ['put', 'a', '--stock', '1'],
    ['export', '-o', 'x'],
  ]) {
    const { code, stderr } = await runCommandLine(t, args, { cwd, env });
    t.equal(code, 1);
    t.match(stderr, /^product-service: http:\/\/127\.0\.0\.1:9 can't be reached: [^\n]+\n$/);
  }
  t.strictSame(readdirSync(cwd), [], 'no half of an export');
});

t.test('a put that is refused, and one whose condition fails', async (t) => {
  const cwd = tempDir(t);
  const { port } = await startReadyService(t, { DATA_DIR: join(cwd, 'data') });
  const put = (...args: string[]) => runCommandLine(t, ['put', ...args], { cwd, port });
  t.match(await put('a/b', '--price', '9007199254740993', '--stock', '-1'), {
    code: 1,
    stderr:
      /400 Invalid event: .*\/price price can not be kept exactly.*\/stock|\/stock.*\/price price can not be kept exactly/,
  });
  t.match(await put('a/b', '--stock', '7', '--key', 'k'), { code: 0, stderr: '' });
  t.match(await put('a/b', '--stock', '7', '--key', 'k'), { stdout: /"seq":1/ }, 'a repetition');
  t.match(await put('a/b', '--stock', '8', '--if-match', '5'), { code: 3, stderr: ONE_LINE });
  t.match(await put('a/b', '--stock', '8', '--if-match', '1'), { code: 0 });
  t.match(await put('a/b', '--price', '2.5', '--at', '2026-01-01T00:00:00Z'), { code: 0 });
  const got = await runCommandLine(t, ['get', 'a/b', 'é', '--full'], { cwd, port });
  t.match(got, { code: 3, stderr: 'product-service: there is no product "é"\n' });
  t.match(JSON.parse(got.stdout), { price: 2.5, stock: 8, price_at: '2026-01-01T00:00:00.000Z' });
});

t.test('an export of many products, as NDJSON and as CSV', async (t) => {
  const cwd = tempDir(t);
  const { port } = await startReadyService(t, { DATA_DIR: join(cwd, 'data') });
  const ids = Array.from({ length: 3000 }, (_, i) =>
    i === 7 ? 'with "quotes", \u00a0 and \u2028' : `p${i}`,
  );
  const body = ids.map((id, i) => JSON.stringify({ product_id: id, price: i / 8, stock: i }));
  await sendBatch(port, body.join('\n'), { query: '?ack=applied' });
  await runCommandLine(t, ['put', 'half', '--stock', '1'], { cwd, port });
  const all = await runCommandLine(t, ['export'], { cwd, port });
  t.match(all, {
    code: 0,
    stderr: 'product-service: what changes from here on: export --since 3001\n',
  });
  const rows = all.stdout
    .trimEnd()
    .split('\n')
    .map((line) => JSON.parse(line));
  t.strictSame(rows.map(({ id }) => id).sort(), [...ids, 'half'].sort());
  const csv = await runCommandLine(t, ['export', '--format=csv', '-o', 'x.csv'], { cwd, port });
  t.match(csv, { code: 0, stdout: '' });
  const lines = readFileSync(join(cwd, 'x.csv'), 'utf8').trimEnd().split('\n');
  t.equal(lines.shift(), 'id,price,stock');
  const cell = (value: unknown) => (value === null ? '' : String(value));
  const expected = rows.map(({ id, price, stock }) => {
    const text = id.startsWith('with') ? '"with ""quotes"", \u00a0 and \u2028"' : id;
    return `${text},${cell(price)},${cell(stock)}`;
  });
  t.strictSame(lines, expected);
  const unwritable = await runCommandLine(t, ['export', '-o', 'no/x'], { cwd, port });
  t.match(unwritable, { code: 1, stderr: ONE_LINE });
  t.notOk(existsSync(join(cwd, 'x.csv.part')));
  await runCommandLine(t, ['put', 'p1', '--delete'], { cwd, port });
  const since = await runCommandLine(t, ['export', '--since', '3000'], { cwd, port });
  t.strictSame(
    since.stdout
      .trimEnd()
      .split('\n')
      .map((line) => JSON.parse(line)),
    [
      { id: 'half', price: null, stock: 1, deleted: false, seq: 3001 },
      { id: 'p1', price: null, stock: null, deleted: true, seq: 3002 },
    ],
  );
});

t.test('tail goes on where it was when the service was away', async (t) => {
  const cwd = tempDir(t);
  const port = await freePort();
  const env = { PORT: String(port) };
  const first = await ServiceProcess.start(t, { cwd, env });
  const tail = startCommand(t, ['tail', '--since', '0', '--json', '--count', '3'], { cwd, port });
  const put = (id: string) => runCommandLine(t, ['put', id, '--stock', '1'], { cwd, port });
  await put('a');
  await polled(() => (tail.printed().stdout.includes('"a"') ? true : undefined), WAIT_MS_MAX, 'a');
  await first.crash();
  await polled(
    () => (tail.printed().stderr.includes('trying again') ? true : undefined),
    WAIT_MS_MAX,
    'tail to notice',
  );
  await ServiceProcess.start(t, { cwd, env });
  await put('b');
  await put('c');
  const { code, stdout, stderr } = await tail.end;
  t.equal(code, 0);
  const seen = stdout
    .trimEnd()
    .split('\n')
    .map((line) => JSON.parse(line).product_id);
  t.strictSame(seen, ['a', 'b', 'c'], 'each once');
  t.match(stderr, /connected again\n/);
});

t.test('an interrupted tail ends as its signal says', async (t) => {
  const cwd = tempDir(t);
  const { port } = await startReadyService(t, { DATA_DIR: join(cwd, 'data') });
  await runCommandLine(t, ['put', 'a\u202eb', '--stock', '1'], { cwd, port });
  const tail = startCommand(t, ['tail', '--since', '0'], { cwd, port });
  await polled(() => (tail.printed().stdout === '' ? undefined : true), WAIT_MS_MAX, 'a line');
  t.match(tail.printed().stdout, '1  20', 'with the time');
  t.match(
    tail.printed().stdout,
    '"a\\u{202e}b"  price –  stock 1\n',
    'no id turns the line around',
  );
  tail.kill('SIGINT');
  t.match(await tail.end, { code: null, signal: 'SIGINT', stderr: '' });
});
