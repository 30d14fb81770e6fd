/**
 * The metrics as Prometheus sees them: promtool finds nothing to say against either form, a real
 * Prometheus scrapes the running service, every expression of the dashboard and of the alerts gives
 * figures there, and the alerts' own tests pass.
 */
import { spawnSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import t from 'tap';
import { parse } from 'yaml';
import { polled } from '../helpers/bounded.ts';
import { sendBatch } from '../helpers/clients/batch-client.ts';
import { scrape } from '../helpers/clients/metrics-client.ts';
import { RawClient } from '../helpers/clients/raw-client.ts';
import { tempDir } from '../helpers/disks/temp-dir.ts';
import { startReadyService } from '../helpers/processes/service-in-process.ts';
import { type Sample, startPrometheus } from './prometheus-server.ts';

const PROMTOOL = '/usr/bin/promtool';
const DEPLOY = fileURLToPath(new URL('../../deploy/', import.meta.url));
const WAIT_MS_MAX = 90_000;
/** What Grafana puts in. */
const VARIABLES: readonly (readonly [RegExp, string])[] = [
  [/\$job\b/g, 'product-service'],
  [/\$instance\b/g, '.+'],
  [/\$__rate_interval\b/g, '1m'],
];

interface Rule {
  readonly alert: string;
  readonly expr: string;
  readonly annotations: { readonly summary: string };
}
interface Panel {
  readonly title: string;
  readonly type: string;
  readonly targets?: readonly { readonly expr: string }[];
}
interface RuleTest {
  readonly name: string;
  readonly alert_rule_test: readonly {
    readonly alertname: string;
    readonly exp_alerts: readonly object[];
  }[];
}

const rules = (
  parse(readFileSync(`${DEPLOY}prometheus/alerts.yml`, 'utf8')) as {
    groups: { rules: Rule[] }[];
  }
).groups.flatMap((group) => group.rules);
const dashboard = JSON.parse(readFileSync(`${DEPLOY}grafana/product-service.json`, 'utf8')) as {
  panels: Panel[];
};

function promtool(
  args: readonly string[],
  input?: string,
): { status: number | null; said: string } {
  const { status, stdout, stderr } = spawnSync(PROMTOOL, args, { input, encoding: 'utf8' });
  return { status, said: stdout + stderr };
}

t.setTimeout(300_000);

t.test('promtool: configuration, rules, and the tests of the rules', (t) => {
  for (const args of [
    ['check', 'config', `${DEPLOY}prometheus/prometheus.yml`],
    ['test', 'rules', `${DEPLOY}prometheus/alerts.test.yml`],
  ]) {
    const { status, said } = promtool(args);
    t.equal(status, 0, said);
    t.match(said, /SUCCESS/);
  }
  const tests = (
    parse(readFileSync(`${DEPLOY}prometheus/alerts.test.yml`, 'utf8')) as {
      tests: RuleTest[];
    }
  ).tests.flatMap(({ alert_rule_test }) => alert_rule_test);
  for (const { alert } of rules) {
    const own = tests.filter(({ alertname }) => alertname === alert);
    t.ok(
      own.some(({ exp_alerts }) => exp_alerts.length > 0),
      `${alert} is raised by a test`,
    );
    t.ok(
      own.some(({ exp_alerts }) => exp_alerts.length === 0),
      `${alert} is silent in a test`,
    );
  }
  t.end();
});

t.test('docs/metrics.md says what to do about each alert', (t) => {
  const page = readFileSync(new URL('../../docs/metrics.md', import.meta.url), 'utf8');
  const rows = [...page.matchAll(/^\| `(ProductService\w+)` \| .+ \|$/gm)].map(([, name]) => name);
  t.strictSame(rows.toSorted(), rules.map(({ alert }) => alert).toSorted());
  t.end();
});

t.test('a real Prometheus', async (t) => {
  const SINKS = `sqlite:${join(tempDir(t), 'products.db')}`;
  const { service, port } = await startReadyService(t, { DATA_DIR: tempDir(t), SINKS });
  const follower = await RawClient.connect(port);
  t.teardown(() => follower.close());
  follower.send('GET /api/v1/changes HTTP/1.1\r\nhost: a\r\naccept: text/event-stream\r\n\r\n');
  /** Something of everything that has a figure. */
  const work = async () => {
    await sendBatch(port, '{"product_id":"b","price":1,"stock":1}\n{"product_id":"b"}\n', {
      query: '?on_error=continue',
    });
    const base = `http://127.0.0.1:${port}`;
    for (const path of ['/api/v1/products/b', '/api/v1/products/none', '/nowhere']) {
      await (await fetch(`${base}${path}`)).arrayBuffer();
    }
    const headers = { 'content-type': 'application/json' };
    for (const body of ['{"product_id":"a","price":1,"stock":1}', '{}']) {
      await (await fetch(`${base}/api/v1/events`, { method: 'POST', headers, body })).arrayBuffer();
    }
  };
  await work();
  await service.checkpoints.runRound(false, true);

  for (const [form, accept] of [
    ['Prometheus text', 'text/plain'],
    ['OpenMetrics', 'application/openmetrics-text'],
  ]) {
    const { text } = await scrape(port, accept);
    if (accept === 'text/plain') {
      // It speaks to nothing but this form.
      const { status, said } = promtool(['check', 'metrics'], text);
      t.equal(said, '', form);
      t.equal(status, 0, form);
    }
    t.ok(text.length > 10_000 && text.length < 100_000, `${form}: ${text.length} bytes`);
  }

  const prometheus = await startPrometheus(t, port);
  const samples = async (expression: string): Promise<readonly Sample[]> => {
    return polled(
      async () => {
        const found = await prometheus.query(expression);
        if (found.length > 0) return found;
        await work();
        return undefined;
      },
      WAIT_MS_MAX,
      `figures for ${expression}`,
    );
  };
  await samples('product_service_events_accepted_total > 0');
  await work();

  // A look that takes longer than a second is none.
  const isUp = async () => {
    const { activeTargets } = await prometheus.get<{
      activeTargets: { health: string; lastError: string }[];
    }>('targets');
    const [target, ...others] = activeTargets;
    if (others.length > 0) throw new Error(`${activeTargets.length} targets`);
    return (target?.health === 'up' && target.lastError === '') || undefined;
  };
  await polled(isUp, WAIT_MS_MAX, 'the target to be up');
  await t.test('knows every metric, with its type and sentence', async (t) => {
    const metadata =
      await prometheus.get<Record<string, { type: string; help: string }[]>>('metadata?limit=1000');
    for (const { name, type, help } of service.metrics?.declared ?? []) {
      // It reads OpenMetrics, where a counter's family has no suffix.
      const family = type === 'counter' ? name.replace(/_total$/, '') : name;
      const [known] = metadata[family] ?? metadata[name] ?? [];
      t.match(known, { type, help }, name);
    }
  });
  await t.test('every panel of the dashboard has figures', async (t) => {
    const shown = dashboard.panels.filter(({ type }) => type !== 'row');
    t.ok(shown.length > 20);
    for (const { title, targets = [] } of shown) {
      t.ok(targets.length > 0, title);
      for (const { expr } of targets) {
        const asked = VARIABLES.reduce((text, [name, value]) => text.replace(name, value), expr);
        t.notMatch(asked, /\$/, `${title}: all variables are known`);
        t.ok((await samples(asked)).length > 0, `${title}: ${asked}`);
      }
    }
  });
  await t.test('every alert compares a figure that is there', async (t) => {
    for (const { alert, expr } of rules) {
      const compared = expr.trim().replace(/\s(?:>|<|==)\s+[\d.e]+$/, '');
      t.not(compared, expr.trim(), `${alert} ends in a comparison`);
      t.ok((await samples(compared)).length > 0, `${alert}: ${compared}`);
    }
    const { groups } = await prometheus.get<{
      groups: { rules: { name: string; health: string; lastError?: string }[] }[];
    }>('rules');
    for (const { name, health, lastError } of groups.flatMap((group) => group.rules)) {
      t.not(health, 'err', `${name}: ${lastError}`);
    }
  });
  await t.test('a service at work raises none', async (t) => {
    const { alerts } = await prometheus.get<{
      alerts: { state: string; labels: { alertname: string } }[];
    }>('alerts');
    const firing = alerts.filter(({ state }) => state === 'firing');
    const raised = firing.map(({ labels }) => labels.alertname);
    t.strictSame(raised, []);
  });
});
