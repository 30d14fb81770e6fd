/** `top`: figures out of two looks at a service's metrics, and a running service watched. */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import t from 'tap';
import { quantile, rate, Sample } from '../../src/cli/metrics-text.ts';
import { topLines, topText } from '../../src/cli/top-view.ts';
import { polled } from '../helpers/bounded.ts';
import { ApiClient } from '../helpers/clients/api-client.ts';
import { sendBatch } from '../helpers/clients/batch-client.ts';
import { scrape } from '../helpers/clients/metrics-client.ts';
import { tempDir } from '../helpers/disks/temp-dir.ts';
import { runCommandLine } from '../helpers/processes/command-line.ts';
import { startReadyService } from '../helpers/processes/service-in-process.ts';

const WAIT_MS_MAX = 60_000;

/** Keeps the names that it was asked for. */
class AskedSample extends Sample {
  readonly asked = new Set<string>();

  override all(name: string) {
    this.asked.add(name);
    return super.all(name);
  }
}

const BEFORE = `# HELP events_total Events.
# TYPE events_total counter
events_total{way="single"} 10
events_total{way="a \\"b\\" \\\\ \\n"} 1
t_bucket{le="0.001"} 5
t_bucket{le="0.01"} 5
t_bucket{le="+Inf"} 5
`;
const NOW = `events_total{way="single"} 30
events_total{way="a \\"b\\" \\\\ \\n"} 6
t_bucket{le="0.001"} 5
t_bucket{le="0.01"} 14
t_bucket{le="+Inf"} 15
`;

t.test('rates and quantiles of what lies between two samples', (t) => {
  const [before, now] = [new Sample(BEFORE, 1000), new Sample(NOW, 3000)];
  t.equal(rate(before, now, 'events_total', { way: 'single' }), 10);
  t.equal(rate(before, now, 'events_total', { way: 'a "b" \\ \n' }), 2.5);
  t.equal(rate(before, now, 'events_total'), 12.5);
  t.equal(rate(before, now, 'nothing'), undefined);
  t.equal(rate(now, before, 'events_total'), undefined, 'a counter that began anew has no rate');
  t.equal(quantile(before, now, 't', 0.5)?.toFixed(6), (0.001 + (5 / 9) * 0.009).toFixed(6));
  t.equal(quantile(before, now, 't', 1), 0.01, 'beyond the last bound nothing is known');
  t.equal(quantile(now, now, 't', 0.5), undefined);
  t.end();
});

t.test('a service that tells nothing is shown without figures', (t) => {
  const empty = new Sample('', 0);
  const lines = topText(topLines(empty, empty), (text) => `<${text}>`);
  t.match(lines[0], /^events\/s +single <–> {2}batch <–>/);
  t.notMatch(lines.join('\n'), /NaN|undefined|Infinity/);
  t.end();
});

t.test('a running service', async (t) => {
  const cwd = tempDir(t);
  const { port } = await startReadyService(t, { DATA_DIR: join(cwd, 'data') });
  const events = Array.from(
    { length: 500 },
    (_, i) => `{"product_id":"p${i}","price":1,"stock":1}`,
  );
  await sendBatch(port, events.join('\n'), { query: '?ack=applied' });
  // The rings are found empty a moment after the answer.
  const isAtRest = async () => {
    const metrics = await scrape(port);
    return metrics.value('product_service_ring_events') === 0 || undefined;
  };
  await polled(isAtRest, WAIT_MS_MAX, 'the rings to be empty');
  const args = ['top', '--count', '2', '--interval', '100ms'];
  const { code, stdout, stderr } = await runCommandLine(t, args, { cwd, port });
  t.equal(code, 0, stderr);
  const blocks = stdout.split(/^product-service at http/m).slice(1);
  t.equal(blocks.length, 2);
  for (const block of blocks) {
    t.match(block, /^:\/\/127\.0\.0\.1:\d+ {2}up \d\d:\d\d:\d\d\n/);
    t.match(block, /^store +full ▕.{20}▏ \d+\.\d % {2}products 500 of [\d,]+$/m);
    t.match(block, /^queues +single 0 of [\d,]+ {2}batch 0 of [\d,]+ {2}commit 0 of [\d,]+$/m);
    t.match(block, /^behind +appliers 0 events {2}followers 0 events \(0 open\)/m);
    t.notMatch(block, /NaN|undefined|Infinity/);
  }
  const json = await runCommandLine(t, ['top', '--json', '-n', '1', '--interval', '100ms'], {
    cwd,
    port,
  });
  t.match(JSON.parse(json.stdout), { store: { products: /^500 of / }, HTTP: { 'in flight': '1' } });
  t.match(await runCommandLine(t, ['top', '--interval', '1'], { cwd, port }), { code: 2 });
});

t.test('every figure is one that a service tells, sinks too', async (t) => {
  const cwd = tempDir(t);
  const { port } = await startReadyService(t, {
    DATA_DIR: join(cwd, 'data'),
    SINKS: `sqlite:${join(cwd, 'products.db')}`,
  });
  const look = async () => {
    const answer = await fetch(`http://127.0.0.1:${port}/metrics`);
    return new AskedSample(await answer.text(), performance.now());
  };
  const client = new ApiClient(port);
  const write = async () => {
    await sendBatch(port, '{"product_id":"p","price":1,"stock":1}', { query: '?ack=applied' });
    await client.post({ product_id: 'p', price: 2, stock: 1 });
  };
  await write();
  const before = await look();
  const shown = (now: Sample) => topText(topLines(before, now), (text) => text).join('\n');
  // Some are counted a moment after the answer, and some of samples, 20 in a second; a dash is a figure that is not there.
  const whole = async () => {
    await write();
    const sample = await look();
    return shown(sample).includes('–') ? undefined : sample;
  };
  const now = await polled(whole, WAIT_MS_MAX, 'every figure').catch(look);
  client.close();
  t.notMatch(shown(now), '–', 'nothing is missing');
  const lines = topLines(before, now);
  t.match(lines.at(-1), { title: 'sinks behind', figures: { sqlite: /^\d+ events$/ } });
  const page = readFileSync(new URL('../../docs/metrics.md', import.meta.url), 'utf8');
  const asked = [...now.asked].map((name) => name.replace(/_bucket$/, ''));
  t.ok(asked.length > 20);
  const unknown = asked.filter((name) => !page.includes(`| \`${name}\` |`));
  t.strictSame(unknown, [], 'and stands in docs/metrics.md');
});

t.test('a service without metrics', async (t) => {
  const cwd = tempDir(t);
  const { port } = await startReadyService(t, { DATA_DIR: join(cwd, 'data'), METRICS: 'false' });
  t.match(await runCommandLine(t, ['top'], { cwd, port }), {
    code: 1,
    stderr: /has no metrics: METRICS is false there, or they are on ADMIN_PORT\n$/,
  });
});
