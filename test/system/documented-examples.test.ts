/** The examples of the pages in docs/: every curl command is run, and answers what the page shows behind it. */
import { spawn, spawnSync } from 'node:child_process';
import { readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { gzipSync } from 'node:zlib';
import t, { type Test } from 'tap';
import { commandsOf, examplesOf as statusExamplesOf } from '../../.ci/readme-commands.ts';
import { bounded } from '../helpers/bounded.ts';
import { lines, sendBatch } from '../helpers/clients/batch-client.ts';
import { tempDir } from '../helpers/disks/temp-dir.ts';
import { startReadyService } from '../helpers/processes/service-in-process.ts';

const DOCS = new URL('../../docs/', import.meta.url);
const REPOSITORY = fileURLToPath(new URL('../../', import.meta.url));
/** A shell block, and the block that follows it at once: what the command prints. */
const EXAMPLES = /^```sh\n([\s\S]*?)^```\n(?:\n?```(?:json)?\n([\s\S]*?)^```$)?/gm;
const OUTPUT_MS_MAX = 60_000;

const hasCurl = spawnSync('curl', ['--version']).status === 0;

interface Example {
  readonly command: string;
  /** What the page shows; '' = nothing. */
  readonly shown: string;
}

type Five = [Example, Example, Example, Example, Example];

/** Output stands in a comment behind its command, or in a block of its own behind the last one. */
function examplesOf(page: string): Example[] {
  return [...page.matchAll(EXAMPLES)].flatMap(([, block = '', output = '']) => {
    const parts = block.split(/^# (\{.*)\n/m);
    const examples: Example[] = [];
    for (let i = 0; i < parts.length; i += 2) {
      const commands = commandsOf(`\`\`\`sh\n${parts[i]}\`\`\``);
      examples.push(...commands.map((command) => ({ command, shown: '' })));
      const last = examples.pop();
      if (last !== undefined) examples.push({ ...last, shown: parts[i + 1] ?? output });
    }
    return examples;
  });
}

const exampleText = (name: string) => readFileSync(new URL(name, DOCS), 'utf8');

async function setup(t: Test, page: string, env: Record<string, string> = {}) {
  const cwd = tempDir(t);
  const { port } = await startReadyService(t, { DATA_DIR: join(cwd, 'data'), ...env });
  const examples = examplesOf(exampleText(page)).map(({ command, shown }) => ({
    command: command.replaceAll(/\b(localhost|127\.0\.0\.1):8080\b/g, `127.0.0.1:${port}`),
    shown,
  }));
  const post = (body: string) => sendBatch(port, body, { query: '?ack=applied' });
  return { cwd, post, examples, run: (command: string, until = '') => run(t, cwd, command, until) };
}

/** What it prints, up to its end or, if it has none, until it has printed `until`. */
async function run(t: Test, cwd: string, command: string, until: string): Promise<string> {
  // A shell's `exec` makes curl the child itself, so that the stream can be ended.
  const script = command.replace(/^curl /, 'exec curl ').replaceAll('curl ', 'curl -sS ');
  const child = spawn('sh', ['-c', script], { cwd, stdio: ['ignore', 'pipe', 'inherit'] });
  t.teardown(() => child.kill('SIGKILL'));
  let output = '';
  child.stdout.setEncoding('utf8').on('data', (text: string) => {
    output += text;
    if (until !== '' && output.length >= until.length) child.kill('SIGKILL');
  });
  const ended = new Promise((resolve) => child.on('close', resolve));
  await bounded(ended, OUTPUT_MS_MAX, command);
  return output.trimEnd();
}

for (const [page, examplesMin] of [
  ['api.md', 20],
  ['diagnosis.md', 1],
] as const) {
  t.test(`docs/${page}`, { skip: !hasCurl && 'curl is missing' }, async (t) => {
    const { port } = await startReadyService(t, { DATA_DIR: tempDir(t) });
    const address = `127.0.0.1:${port}`;
    const examples = statusExamplesOf(commandsOf(exampleText(page)));
    t.ok(examples.length >= examplesMin);
    for (const { command, status } of examples) {
      const asked = command
        .replaceAll('localhost:8080', address)
        .replace(/^curl /, "curl -o /dev/null -w '%{http_code}' ");
      t.equal(await run(t, tempDir(t), asked, ''), String(status), command);
    }
  });
}

t.test('docs/batches.md', { skip: !hasCurl && 'curl is missing' }, async (t) => {
  const { cwd, examples, run } = await setup(t, 'batches.md');
  t.equal(examples.length, 2);
  const [both, file] = examples as [Example, Example];
  t.equal(await run(both.command), both.shown);
  writeFileSync(join(cwd, 'events.ndjson.gz'), gzipSync(`${lines(3000)}{}\n`));
  const { errors, ...counts } = JSON.parse(await run(file.command));
  t.strictSame(counts, {
    status: 'applied',
    accepted: 3000,
    rejected: 1,
    duplicates: 0,
    first_seq: 3,
    last_seq: 3002,
  });
  t.match(errors, [{ line: 3001 }]);
});

t.test('docs/reading.md', { skip: !hasCurl && 'curl is missing' }, async (t) => {
  const { post, examples, run } = await setup(t, 'reading.md');
  t.equal(examples.length, 5);
  const [byId, page, all, compressed, written] = examples as Five;
  const shown = JSON.parse(page.shown);
  // One more than the page takes.
  const products = [...shown.products, { id: 'abc125', price: 1, stock: 1 }];
  const events = products.map(({ id, price, stock }) => ({ product_id: id, price, stock }));
  await post(events.map((event) => JSON.stringify(event)).join('\n'));

  t.equal(`${await run(byId.command)}\n`, byId.shown);
  const first = JSON.parse(await run(page.command));
  t.strictSame(Object.keys(first), Object.keys(shown));
  t.equal(first.products.length, shown.products.length);
  t.equal(first.next.length, shown.next.length);
  const second = JSON.parse(await run(page.command.replace(/'$/, `&cursor=${first.next}'`)));
  t.equal(second.next, null);
  const onPages = [...first.products, ...second.products];
  t.strictSame(onPages.sort(byIdOf), products, 'the order means nothing');
  const lines = (await run(all.command)).split('\n').map((line) => JSON.parse(line));
  t.strictSame(lines.sort(byIdOf), products);
  t.equal(await run(compressed.command), await run(all.command));
  await post(JSON.stringify({ product_id: 'abc123', price: 50, stock: 1 }).concat('\n').repeat(14));
  t.match(JSON.parse(await run(written.command)), { id: 'abc123', price: 50 });
});

t.test('docs/changes.md', { skip: !hasCurl && 'curl is missing' }, async (t) => {
  const { post, examples, run } = await setup(t, 'changes.md');
  t.equal(examples.length, 2);
  const [stream, page] = examples as [Example, Example];
  await post('{"product_id":"A","price":9.5,"stock":3,"occurred_at":"2026-01-01T00:00:00Z"}\n');
  t.equal(await run(stream.command, stream.shown), stream.shown.trimEnd());
  t.equal(`${await run(page.command)}\n`, page.shown);
});

t.test('docs/history.md', { skip: !hasCurl && 'curl is missing' }, async (t) => {
  const { post, examples, run } = await setup(t, 'history.md', { HISTORY: 'forever' });
  t.equal(examples.length, 1);
  const [prior] = examples as [Example];
  const prices = [
    [89.99, '2025-12-01T08:00:00Z'],
    [99.99, '2026-01-10T08:00:00Z'],
    [94.99, '2026-02-02T08:00:00Z'],
    [79.99, '2026-02-20T00:00:00Z'],
  ].map(([price, at]) => ({ product_id: 'abc123', price, stock: 1, occurred_at: at }));
  await post(prices.map((event) => JSON.stringify(event)).join('\n'));
  const waiting = prior.command.concat("?min_seq=4&wait=30s'").replace('curl ', "curl '");
  t.equal(`${await run(waiting)}\n`, prior.shown);
});

t.test('docs/metrics.md', { skip: !hasCurl && 'curl is missing' }, async (t) => {
  const { post, examples, run } = await setup(t, 'metrics.md');
  t.equal(examples.length, 1);
  await post('{"product_id":"A","price":9.5,"stock":3}\n');
  const [{ command, shown }] = examples as [Example];
  t.equal(`${await run(command)}\n`, shown);
});

t.test('docs/security.md', { skip: !hasCurl && 'curl is missing' }, async (t) => {
  const [block = ''] = [...exampleText('security.md').matchAll(EXAMPLES)].map(
    ([, script]) => script,
  );
  const [makesSecret, starts, ...uses] = block.trimEnd().split('\n');
  t.equal(starts, 'npm start &');
  const secret = await run(t, REPOSITORY, `${makesSecret}; echo $JWT_SECRET`, '');
  t.match(secret, /^[0-9a-f]{64}$/);
  const { port } = await startReadyService(t, { DATA_DIR: tempDir(t), JWT_SECRET: secret });
  const script = uses.join('\n').replaceAll('localhost:8080', `127.0.0.1:${port}`);
  const asked = script.replaceAll(/^curl /gm, "curl -o /dev/null -w '%{http_code}\\n' ");
  const statuses = [...script.matchAll(/# (\d{3})$/gm)].map(([, status]) => status);
  t.equal(statuses.length, 2);
  const printed = await run(t, REPOSITORY, `export JWT_SECRET=${secret}\n${asked}`, '');
  t.strictSame(printed.split('\n'), statuses);
});

t.test('no other page has examples', (t) => {
  const pages = readdirSync(DOCS)
    .filter((name) => name.endsWith('.md'))
    .filter((name) => commandsOf(exampleText(name)).length > 0);
  // Those of durability.md are run by test/maintenance/durability-page.test.ts, those of sinks.md by
  // test/system-tools/sinks-page.test.ts, those of cli.md by test/cli/cli-page.test.ts, those of cluster.md by
  // test/system-tools/cluster-page.test.ts.
  t.strictSame(pages.sort(), [
    'api.md',
    'batches.md',
    'changes.md',
    'cli.md',
    'cluster.md',
    'diagnosis.md',
    'durability.md',
    'history.md',
    'metrics.md',
    'reading.md',
    'security.md',
    'sinks.md',
  ]);
  t.end();
});

function byIdOf(a: { readonly id: string }, b: { readonly id: string }): number {
  return a.id < b.id ? -1 : 1;
}
