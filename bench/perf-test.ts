/**
 * `make perf-test`: the loads of the HTTP bench against a running service.
 *
 *   this process, autocannon ──POST, GET──▶ the service at a URL
 *
 * It writes 10,000 products named bench-…, reads them all back at the end, and throws unless each
 * holds the last value and no answer was other than 2xx.
 */
import { loadShapes, productNames, reads, sendLoad, writes } from './support/http-load.ts';
import { verifyProducts } from './support/http-state.ts';
import { figure, type Report } from './support/report.ts';
import { runBench } from './support/run-bench.ts';
import { findService } from './support/running-service.ts';

const SIZES = {
  full: { ofMany: 1500, ofOne: 8000 },
  smoke: { ofMany: 16, ofOne: 100 },
} as const;

/** Another run writes other values. */
const EDITIONS = 10_000;

const url = await findService();

await runBench(async (size): Promise<Report> => {
  const ids = productNames(size);
  const edition = Math.floor(Date.now() / 1000) % EDITIONS;
  const rows: string[][] = [];
  for (const method of ['POST', 'GET'] as const) {
    const requests = method === 'POST' ? writes(ids, edition) : reads(ids);
    for (const { name, shape } of loadShapes(SIZES[size])) {
      const result = await sendLoad(url, requests, shape);
      const figures = [result.requestsPerSecond, result.p50Ms, result.p99Ms, result.p999Ms];
      rows.push([
        `${method}, ${name}`,
        String(result.requests),
        ...figures.map((value) => figure(value)),
      ]);
    }
  }
  await verifyProducts(url, ids, edition);
  return {
    name: `HTTP load on ${url}`,
    conditions: [`${figure(ids.length)} products, each load once, keep-alive`],
    tables: [
      {
        title: 'Loads',
        columns: ['load', 'requests', 'requests/s', 'p50 ms', 'p99 ms', 'p99.9 ms'],
        rows,
      },
    ],
    aims: [],
    notes: ['No answer but 2xx came back, and every product was read back with its last value.'],
  };
});
