/**
 * Writes the table of docs/metrics.md from what the service declares. Run by `npm run docs:metrics`
 * after a metric was added or changed.
 */
import { readFileSync, writeFileSync } from 'node:fs';
import { declaredMetrics, withMetricsTable } from '../test/helpers/api/metrics-page.ts';

const page = new URL('../docs/metrics.md', import.meta.url);
writeFileSync(page, withMetricsTable(readFileSync(page, 'utf8'), await declaredMetrics()));
