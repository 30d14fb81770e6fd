/** Figures of several threads, added up. */
import t from 'tap';
import { ThreadSeries } from '../../src/http-threads/thread-series.ts';
import { Histogram } from '../../src/metrics/histogram.ts';
import { MetricsRegistry } from '../../src/metrics/registry.ts';
import { readAll, type SeriesByMetric } from '../../src/metrics/series.ts';

/** A registry of one thread: so many requests, in flight, and durations. */
function threadOf(requests: number, lag: number, ...durationsMs: number[]): MetricsRegistry {
  const registry = new MetricsRegistry();
  const durations = new Histogram([1, 10]);
  for (const ms of durationsMs) durations.observe(ms);
  registry.counter(
    { name: 'a_requests_total', help: 'Requests', labels: ['way', 'status'] },
    (put) => {
      put(requests, { way: 'single', status: '200' });
      put(1, { status: '404', way: 'single' });
    },
  );
  registry.gauge({ name: 'a_lag', help: 'Lag', across: 'greatest' }, (put) => put(lag));
  registry.gauge({ name: 'a_open', help: 'Open' }, (put) => put(requests));
  registry.histogram({ name: 'a_duration_seconds', help: 'Duration', perUnit: 1000 }, (put) =>
    put(durations),
  );
  return registry;
}

function joined(own: MetricsRegistry, series: ThreadSeries): MetricsRegistry {
  own.join({ refresh: async () => undefined, series: (name) => series.of(name) });
  return own;
}

/** As it goes from thread to thread. */
async function told(registry: MetricsRegistry): Promise<SeriesByMetric> {
  return structuredClone(await readAll(registry.declared));
}

t.test('are sums, whatever the order of labels; of some the greatest', async (t) => {
  const series = new ThreadSeries();
  series.note(1, await told(threadOf(20, 7, 5, 50)));
  series.note(2, await told(threadOf(300, 3, 0.5)));
  const text = await joined(threadOf(1, 5, 5), series).text('text/plain');
  t.match(text, 'a_requests_total{way="single",status="200"} 321\n');
  t.match(text, /a_requests_total\{.*404.*\} 3\n/);
  t.match(text, 'a_lag 7\n');
  t.match(text, 'a_open 321\n');
  t.match(text, 'a_duration_seconds_bucket{le="0.001"} 1\n');
  t.match(text, 'a_duration_seconds_bucket{le="0.01"} 3\n');
  t.match(text, 'a_duration_seconds_count 4\n');
  t.match(text, 'a_duration_seconds_sum 0.0605\n');
});

t.test('of a thread that ended counters stay, and what there was of it goes', async (t) => {
  const series = new ThreadSeries();
  const registry = joined(threadOf(1, 0), series);
  series.note(1, await told(threadOf(20, 7, 5)));
  series.ended(1);
  series.note(1, await told(threadOf(2, 0)));
  series.ended(1);
  series.note(1, await told(threadOf(3, 0, 5)));
  const text = await registry.text('text/plain');
  t.match(text, 'a_requests_total{way="single",status="200"} 26\n');
  t.match(text, 'a_duration_seconds_count 2\n');
  t.match(text, 'a_open 4\n');
  t.match(text, 'a_lag 0\n');
});
