/** Declaring metrics and their two texts. That Prometheus reads them: test/system-tools. */
import t from 'tap';
import { Histogram } from '../../src/metrics/histogram.ts';
import { MetricsRegistry } from '../../src/metrics/registry.ts';

function registry(): MetricsRegistry {
  const metrics = new MetricsRegistry();
  const durations = new Histogram([0.25, 2.5, 100]);
  for (const ms of [0.1, 0.2, 2, 1000]) durations.observe(ms);
  metrics.counter(
    { name: 'a_things_total', help: 'Things "done" \\ so far', labels: ['way'] },
    (put) => {
      put(3, { way: 'one' });
      put(0, { way: 'o"ther' });
    },
  );
  metrics.gauge({ name: 'a_depth', help: 'How deep' }, async (put) => put(1.5));
  metrics.gauge({ name: 'a_nothing', help: 'Nothing yet' }, () => undefined);
  metrics.histogram({ name: 'a_wait_seconds', help: 'How long', perUnit: 1000 }, (put) => {
    put(durations, { way: 'one' });
  });
  metrics.info({ name: 'a_build_info', help: 'Which' }, { version: '1.2' });
  return metrics;
}

const SHARED_LINES = `# HELP a_depth How deep
# TYPE a_depth gauge
a_depth 1.5
# HELP a_nothing Nothing yet
# TYPE a_nothing gauge
# HELP a_wait_seconds How long
# TYPE a_wait_seconds histogram
a_wait_seconds_bucket{le="0.00025",way="one"} 2
a_wait_seconds_bucket{le="0.0025",way="one"} 3
a_wait_seconds_bucket{le="0.1",way="one"} 3
a_wait_seconds_bucket{le="+Inf",way="one"} 4
a_wait_seconds_sum{way="one"} 1.0023
a_wait_seconds_count{way="one"} 4
# HELP a_build_info Which
# TYPE a_build_info gauge
a_build_info{version="1.2"} 1
`;

t.test('as Prometheus text', async (t) => {
  t.equal(
    (await registry().text('text/plain')).replaceAll('\n\n', '\n'),
    `# HELP a_things_total Things "done" \\\\ so far
# TYPE a_things_total counter
a_things_total{way="one"} 3
a_things_total{way="o\\"ther"} 0
${SHARED_LINES}`,
  );
});

t.test('as OpenMetrics', async (t) => {
  t.equal(
    await registry().text('application/openmetrics-text'),
    `# HELP a_things Things "done" \\\\ so far
# TYPE a_things counter
a_things_total{way="one"} 3
a_things_total{way="o\\"ther"} 0
${SHARED_LINES}# EOF
`,
  );
});

t.test('one form asked for does not change the other', async (t) => {
  const metrics = registry();
  const before = await metrics.text('text/plain');
  await metrics.text('application/openmetrics-text');
  t.equal(await metrics.text('text/plain'), before);
});

t.test('a figure is read anew each time, and what its reading throws is told', async (t) => {
  const metrics = new MetricsRegistry();
  let value = 1;
  metrics.gauge({ name: 'a_value', help: 'It' }, (put) => {
    if (value === 3) throw new Error('no figure');
    put(value);
  });
  t.match(await metrics.text('text/plain'), /^a_value 1$/m);
  value = 2;
  t.match(await metrics.text('text/plain'), /^a_value 2$/m);
  value = 3;
  await t.rejects(metrics.text('text/plain'), { message: 'no figure' });
});

t.test('what is declared wrong is refused', async (t) => {
  const metrics = registry();
  const none = () => undefined;
  const help = 'Help';
  t.throws(() => metrics.counter({ name: 'a_things', help }, none), /ends in _total/);
  t.throws(() => metrics.gauge({ name: 'a_things_total', help }, none), /does not end so/);
  t.throws(() => metrics.info({ name: 'a_build', help }, {}), /ends in _info/);
  for (const name of ['a_wait_bucket', 'a_wait_sum', 'a_wait_count', 'a_created']) {
    t.throws(() => metrics.histogram({ name, help, perUnit: 1 }, none), /does not end so/);
  }
  t.throws(() => metrics.gauge({ name: 'a_depth', help }, none), /declared once/);
  for (const name of ['Depth', 'depth', 'a-depth', 'a__depth', '1_depth']) {
    t.throws(() => metrics.gauge({ name, help }, none), name);
  }
  for (const wrong of ['no capital', 'A full stop.', 'Two\nlines.', '']) {
    t.throws(() => metrics.gauge({ name: 'an_other', help: wrong }, none), wrong);
  }
  metrics.histogram({ name: 'a_bad_seconds', help, perUnit: 1 }, (put) => {
    put({ bounds: [2, 1], counts: [0, 0, 0], sum: 0 });
  });
  await t.rejects(metrics.text('text/plain'), /bounds ascend/);
  t.throws(() => metrics.gauge({ name: 'a_late', help }, none), /before the first scrape/);
});
