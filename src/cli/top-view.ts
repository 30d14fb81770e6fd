/**
 * What `top` shows of two looks at a service's metrics: figures, and these as lines. What the service doesn't
 * tell is left out. Pure.
 */
import { quantile, rate, type Sample } from './metrics-text.ts';

const PREFIX = 'product_service_';
const BAR_CHARS = 20;
const NONE = '–';

/** One line: what it is about, and figures that bear their names. */
export interface TopLine {
  readonly title: string;
  readonly figures: Readonly<Record<string, string>>;
}

/** All figures of the time between the two. */
export function topLines(before: Sample, now: Sample): TopLine[] {
  const gauge = (name: string, labels?: Readonly<Record<string, string>>) =>
    now.sum(PREFIX + name, labels);
  const perSecond = (name: string, labels?: Readonly<Record<string, string>>) =>
    count(rate(before, now, PREFIX + name, labels));
  const latency = (name: string) =>
    [0.5, 0.99].map((q) => ms(quantile(before, now, PREFIX + name, q))).join(' / ');
  const ring = (name: string) =>
    `${count(gauge('ring_events', { ring: name }))} of ${count(gauge('ring_capacity_events', { ring: name }))}`;
  const durable = gauge('durable_seq');
  const applied = gauge('applied_seq');
  const share = gauge('store_fill_ratio');
  const cpu = rate(before, now, 'process_cpu_seconds_total');
  const busy = rate(before, now, 'nodejs_eventloop_active_seconds_total', {
    thread: 'main',
  });
  const lines: TopLine[] = [
    {
      title: 'events/s',
      figures: {
        single: perSecond('events_accepted_total', { way: 'single' }),
        batch: perSecond('events_accepted_total', { way: 'batch' }),
        applied: perSecond('event_outcomes_total', { outcome: 'applied' }),
        stale: perSecond('event_outcomes_total', { outcome: 'stale' }),
        refused: perSecond('events_refused_total'),
        duplicate: perSecond('events_duplicate_total'),
      },
    },
    {
      title: 'ms, p50 / p99',
      figures: {
        durable: latency('event_durable_seconds'),
        applied: latency('event_applied_seconds'),
        flush: latency('log_flush_duration_seconds'),
        request: latency('http_request_duration_seconds'),
      },
    },
    {
      title: 'queues',
      figures: { single: ring('single'), batch: ring('batch'), commit: ring('commit') },
    },
    {
      title: 'behind',
      figures: {
        appliers: `${count(durable === undefined || applied === undefined ? undefined : durable - applied)} events`,
        followers: `${count(gauge('changes_lag_events'))} events (${count(gauge('changes_followers'))} open)`,
        checkpoint: `${count(gauge('checkpoint_uncovered_events'))} events`,
      },
    },
    {
      title: 'store',
      figures: {
        full: share === undefined ? NONE : `${bar(share)} ${(share * 100).toFixed(1)} %`,
        products: `${count(gauge('store_products'))} of ${count(gauge('store_capacity_products'))}`,
      },
    },
    {
      title: 'HTTP',
      figures: {
        'requests/s': perSecond('http_requests_total'),
        'problems/s': perSecond('http_problems_total'),
        'in flight': count(gauge('http_requests_in_flight')),
        connections: count(gauge('http_connections')),
      },
    },
    {
      title: 'process',
      figures: {
        CPU: percent(cpu),
        'main thread': percent(busy),
        memory: bytes(now.sum('process_resident_memory_bytes')),
        log: `${bytes(gauge('log_bytes'))}, ${bytes(rate(before, now, `${PREFIX}log_written_bytes_total`))}/s`,
        'disk free': bytes(gauge('disk_free_bytes')),
      },
    },
  ];
  const sinks = now.all(`${PREFIX}sink_lag_events`);
  if (sinks.length > 0) {
    const lags = sinks.map(({ labels, value }) => [labels.sink ?? '', `${count(value)} events`]);
    lines.push({ title: 'sinks behind', figures: Object.fromEntries(lags) });
  }
  return lines;
}

/** The lines as text, the titles in a column; `emphasized` marks the figures. */
export function topText(lines: readonly TopLine[], emphasized: (text: string) => string): string[] {
  const width = Math.max(...lines.map(({ title }) => title.length));
  return lines.map(({ title, figures }) => {
    const parts = Object.entries(figures).map(([name, text]) => `${name} ${emphasized(text)}`);
    return `${title.padEnd(width)}  ${parts.join('  ')}`;
  });
}

function count(value: number | undefined): string {
  if (value === undefined || Number.isNaN(value)) return NONE;
  const rounded = value < 10 ? Math.round(value * 10) / 10 : Math.round(value);
  return String(rounded).replaceAll(/\B(?=(?:\d{3})+$)/g, ',');
}

function ms(seconds: number | undefined): string {
  return seconds === undefined ? NONE : (seconds * 1000).toFixed(seconds < 0.01 ? 2 : 0);
}

function percent(share: number | undefined): string {
  return share === undefined ? NONE : `${Math.round(share * 100)} %`;
}

function bytes(value: number | undefined): string {
  if (value === undefined || Number.isNaN(value)) return NONE;
  let rest = value;
  for (const unit of ['B', 'KB', 'MB', 'GB']) {
    if (rest < 1000)
      return `${rest < 10 && unit !== 'B' ? rest.toFixed(1) : Math.round(rest)} ${unit}`;
    rest /= 1000;
  }
  return `${rest.toFixed(1)} TB`;
}

function bar(share: number): string {
  return `▕${'█'.repeat(Math.round(Math.min(1, share) * BAR_CHARS)).padEnd(BAR_CHARS)}▏`;
}
