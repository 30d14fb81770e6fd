/**
 * What OpenTelemetry's standard variables ask for, as far as its SDK leaves them to whoever uses it: whether
 * traces are exported, where to, in which batches, and which requests are sampled. The others (headers,
 * time-outs, compression, certificates, resource) the SDK reads itself. Pure, main thread; loads nothing.
 */

/** Variables by name; an empty one counts as not set, as the specification says. */
export type TraceEnvironment = Readonly<Record<string, string | undefined>>;

export type SamplerKind = 'always_on' | 'always_off' | 'traceidratio';

export interface TraceSettings {
  /** Where to post, with the whole path. */
  readonly url: string;
  readonly sampler: SamplerKind;
  /** Whether the sampling of the caller's span counts first. */
  readonly isParentBased: boolean;
  /** Share of traces, 0 to 1; for `traceidratio`. */
  readonly ratio: number;
  /** Whether `traceparent` and `tracestate` of requests count. */
  readonly takesContext: boolean;
  readonly batch: BatchSettings;
}

/** How spans are kept until they are exported; what is left out is as the SDK has it by default. */
export interface BatchSettings {
  readonly scheduledDelayMillis?: number;
  readonly exportTimeoutMillis?: number;
  readonly maxQueueSize?: number;
  readonly maxExportBatchSize?: number;
}

/** A variable has a value that can't be used; one line. */
export class TraceSettingsError extends Error {
  override readonly name = 'TraceSettingsError';
}

const TRACES_PATH = '/v1/traces';
const SAMPLERS = /^(parentbased_)?(always_on|always_off|traceidratio)$/;
const PROPAGATORS = new Set(['tracecontext', 'baggage', 'none']);

/**
 * Returns what to do, or `undefined` where tracing is off: without an endpoint nothing else is looked at.
 * @throws {TraceSettingsError} names variable and value, and what is allowed.
 */
export function traceSettings(env: TraceEnvironment): TraceSettings | undefined {
  const get = (name: string) => (env[name] === '' ? undefined : env[name]);
  const url = endpointOf(get);
  if (url === undefined || get('OTEL_SDK_DISABLED')?.toLowerCase() === 'true') return undefined;
  const exporter = get('OTEL_TRACES_EXPORTER') ?? 'otlp';
  if (exporter === 'none') return undefined;
  if (exporter !== 'otlp') refuse('OTEL_TRACES_EXPORTER', exporter, 'otlp or none');
  for (const name of ['OTEL_EXPORTER_OTLP_TRACES_PROTOCOL', 'OTEL_EXPORTER_OTLP_PROTOCOL']) {
    const protocol = get(name);
    if (protocol === undefined) continue;
    if (protocol !== 'http/protobuf') refuse(name, protocol, 'http/protobuf');
    break;
  }
  return { url, ...samplerOf(get), takesContext: takesContext(get), batch: batchOf(get) };
}

type Get = (name: string) => string | undefined;

/** The path goes before a query, which some collectors take a key in. */
function endpointOf(get: Get): string | undefined {
  for (const [name, path] of [
    ['OTEL_EXPORTER_OTLP_TRACES_ENDPOINT', ''],
    ['OTEL_EXPORTER_OTLP_ENDPOINT', TRACES_PATH],
  ] as const) {
    const text = get(name);
    if (text === undefined) continue;
    const url = URL.parse(text);
    if (url === null || !/^https?:$/.test(url.protocol)) {
      // Not its value: it may hold a key.
      throw new TraceSettingsError(`${name} must be a URL that begins with http:// or https://`);
    }
    if (path !== '') url.pathname = url.pathname.replace(/\/$/, '') + path;
    return url.href;
  }
  return undefined;
}

function samplerOf(get: Get): Pick<TraceSettings, 'sampler' | 'isParentBased' | 'ratio'> {
  const name = get('OTEL_TRACES_SAMPLER') ?? 'parentbased_always_on';
  const [, parentBased, kind] = SAMPLERS.exec(name) ?? [];
  if (kind === undefined) {
    const allowed = 'always_on, always_off or traceidratio, or one of them behind parentbased_';
    return refuse('OTEL_TRACES_SAMPLER', name, allowed);
  }
  const sampler = kind as SamplerKind;
  const isParentBased = parentBased !== undefined;
  if (sampler !== 'traceidratio') return { sampler, isParentBased, ratio: 1 };
  const argument = get('OTEL_TRACES_SAMPLER_ARG') ?? '1';
  const ratio = Number(argument);
  // To the SDK anything else means all.
  if (!/^\d*\.?\d+(e-\d+)?$/i.test(argument) || ratio > 1) {
    refuse('OTEL_TRACES_SAMPLER_ARG', argument, 'a number from 0 to 1');
  }
  return { sampler, isParentBased, ratio };
}

function takesContext(get: Get): boolean {
  const text = get('OTEL_PROPAGATORS') ?? 'tracecontext,baggage';
  const names = text.split(',').map((name) => name.trim());
  for (const name of names) {
    if (!PROPAGATORS.has(name))
      refuse('OTEL_PROPAGATORS', text, 'a list of tracecontext, baggage or none');
  }
  return names.includes('tracecontext') && !names.includes('none');
}

/** The SDK reads none of these by itself. */
const BATCH_VARIABLES = {
  scheduledDelayMillis: 'OTEL_BSP_SCHEDULE_DELAY',
  exportTimeoutMillis: 'OTEL_BSP_EXPORT_TIMEOUT',
  maxQueueSize: 'OTEL_BSP_MAX_QUEUE_SIZE',
  maxExportBatchSize: 'OTEL_BSP_MAX_EXPORT_BATCH_SIZE',
} as const satisfies Readonly<Record<keyof BatchSettings, string>>;

function batchOf(get: Get): BatchSettings {
  const batch: Record<string, number> = {};
  for (const [member, name] of Object.entries(BATCH_VARIABLES)) {
    const text = get(name);
    if (text === undefined) continue;
    if (!/^[1-9]\d{0,8}$/.test(text)) refuse(name, text, 'a whole number from 1 to 999999999');
    batch[member] = Number(text);
  }
  return batch;
}

function refuse(name: string, value: string, allowed: string): never {
  throw new TraceSettingsError(`${name}=${JSON.stringify(value.slice(0, 80))} must be ${allowed}`);
}
