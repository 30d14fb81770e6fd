/** The table of docs/metrics.md, made from what the service declares. */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { pino } from 'pino';
import { loadConfig } from '../../../src/config/load.ts';
import type { DeclaredMetric } from '../../../src/metrics/registry.ts';
import { Service } from '../../../src/service.ts';
import { SMALL } from '../processes/service-in-process.ts';

const TABLE = /(?<=<!-- metrics:begin -->\n)[\s\S]*?(?=<!-- metrics:end -->)/;

/** All metrics of a service, ordered by name. */
export async function declaredMetrics(): Promise<DeclaredMetric[]> {
  const folder = mkdtempSync(join(tmpdir(), 'metrics-'));
  const config = loadConfig({ ...SMALL, DATA_DIR: join(folder, 'data') });
  const service = await Service.start({ config, logger: pino({ level: 'silent' }) });
  try {
    return inOrder(service.metrics?.declared ?? []);
  } finally {
    await service.stop();
    rmSync(folder, { recursive: true });
  }
}

export function inOrder(metrics: readonly DeclaredMetric[]): DeclaredMetric[] {
  return metrics.toSorted((a, b) => (a.name < b.name ? -1 : 1));
}

/** `page` with the table of `metrics` between its markers. Throws if they are not there. */
export function withMetricsTable(page: string, metrics: readonly DeclaredMetric[]): string {
  if (!TABLE.test(page)) throw new Error('docs/metrics.md has no place for its table');
  const rows = metrics.map(({ name, type, labels = [], help }) => {
    const shown = labels.map((label) => `\`${label}\``).join(', ');
    return `| \`${name}\` | ${type} | ${shown} | ${help} |\n`;
  });
  const head = '| name | type | labels | what it is |\n| --- | --- | --- | --- |\n';
  return page.replace(TABLE, () => head + rows.join(''));
}
