/** OpenTelemetry's standard variables: when tracing is on, and what is refused by name. */
import t from 'tap';
import { type TraceEnvironment, traceSettings } from '../../src/tracing/trace-settings.ts';

const ENDPOINT = { OTEL_EXPORTER_OTLP_ENDPOINT: 'http://collector:4318' };
const on = (env: TraceEnvironment) => traceSettings({ ...ENDPOINT, ...env });

t.test('off without an endpoint, whatever else is set, and where it is turned off', (t) => {
  t.equal(traceSettings({}), undefined);
  t.equal(traceSettings({ OTEL_TRACES_SAMPLER: 'nonsense', OTEL_SERVICE_NAME: 'x' }), undefined);
  t.equal(traceSettings({ OTEL_EXPORTER_OTLP_ENDPOINT: '' }), undefined, 'empty is not set');
  t.equal(on({ OTEL_SDK_DISABLED: 'true' }), undefined);
  t.equal(on({ OTEL_SDK_DISABLED: 'TRUE' }), undefined);
  t.equal(on({ OTEL_TRACES_EXPORTER: 'none' }), undefined);
  t.ok(on({ OTEL_SDK_DISABLED: 'false' }));
  t.ok(on({ OTEL_TRACES_EXPORTER: 'otlp', OTEL_EXPORTER_OTLP_PROTOCOL: 'http/protobuf' }));
  t.end();
});

t.test('nothing but an endpoint is needed', (t) => {
  t.strictSame(on({}), {
    url: 'http://collector:4318/v1/traces',
    sampler: 'always_on',
    isParentBased: true,
    ratio: 1,
    takesContext: true,
    batch: {},
  });
  t.end();
});

t.test("the endpoint's path", (t) => {
  const urlOf = (endpoint: string) => traceSettings({ OTEL_EXPORTER_OTLP_ENDPOINT: endpoint })?.url;
  t.equal(urlOf('https://c/'), 'https://c/v1/traces');
  t.equal(urlOf('https://c/base'), 'https://c/base/v1/traces');
  t.equal(urlOf('https://c/base/?key=1'), 'https://c/base/v1/traces?key=1', 'before a query');
  const OTEL_EXPORTER_OTLP_TRACES_ENDPOINT = 'http://traces:1/as/it/is?x';
  t.equal(on({ OTEL_EXPORTER_OTLP_TRACES_ENDPOINT })?.url, 'http://traces:1/as/it/is?x');
  t.equal(traceSettings({ OTEL_EXPORTER_OTLP_TRACES_ENDPOINT })?.isParentBased, true);
  t.end();
});

t.test('samplers, propagators, batches', (t) => {
  const samplerOf = (name: string, argument?: string) => {
    const env = { OTEL_TRACES_SAMPLER: name, OTEL_TRACES_SAMPLER_ARG: argument };
    const { sampler, isParentBased, ratio } = on(env) ?? {};
    return `${isParentBased ? 'parent, ' : ''}${sampler} ${ratio}`;
  };
  t.equal(samplerOf('always_on', 'not looked at'), 'always_on 1');
  t.equal(samplerOf('always_off'), 'always_off 1');
  t.equal(samplerOf('traceidratio', '0.25'), 'traceidratio 0.25');
  t.equal(samplerOf('traceidratio'), 'traceidratio 1');
  t.equal(samplerOf('parentbased_traceidratio', '1e-3'), 'parent, traceidratio 0.001');
  t.equal(samplerOf('parentbased_always_off', '0'), 'parent, always_off 1');
  t.equal(on({ OTEL_PROPAGATORS: 'tracecontext' })?.takesContext, true);
  t.equal(on({ OTEL_PROPAGATORS: 'baggage' })?.takesContext, false);
  t.equal(on({ OTEL_PROPAGATORS: 'none' })?.takesContext, false);
  t.strictSame(on({ OTEL_BSP_SCHEDULE_DELAY: '100', OTEL_BSP_MAX_QUEUE_SIZE: '9' })?.batch, {
    scheduledDelayMillis: 100,
    maxQueueSize: 9,
  });
  t.end();
});

t.test('a wrong value is refused by name, an endpoint without its value', (t) => {
  for (const [name, value] of [
    ['OTEL_TRACES_EXPORTER', 'zipkin'],
    ['OTEL_EXPORTER_OTLP_PROTOCOL', 'grpc'],
    ['OTEL_EXPORTER_OTLP_TRACES_PROTOCOL', 'http/json'],
    ['OTEL_TRACES_SAMPLER', 'jaeger_remote'],
    ['OTEL_PROPAGATORS', 'tracecontext,b3'],
    ['OTEL_BSP_SCHEDULE_DELAY', '0'],
    ['OTEL_BSP_MAX_QUEUE_SIZE', '1.5'],
  ] as const) {
    t.throws(() => on({ [name]: value }), { message: new RegExp(`^${name}="${value}" must be `) });
  }
  for (const argument of ['2', '-1', 'x', '1,5', '0x1', ' ']) {
    const env = { OTEL_TRACES_SAMPLER: 'traceidratio', OTEL_TRACES_SAMPLER_ARG: argument };
    t.throws(() => on(env), { message: /^OTEL_TRACES_SAMPLER_ARG=/ }, argument);
  }
  for (const endpoint of ['collector:4318', 'ftp://key@c', 'not a URL with key']) {
    t.throws(() => traceSettings({ OTEL_EXPORTER_OTLP_ENDPOINT: endpoint }), {
      message: 'OTEL_EXPORTER_OTLP_ENDPOINT must be a URL that begins with http:// or https://',
    });
  }
  t.end();
});
