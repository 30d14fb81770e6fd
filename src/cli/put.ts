/**
 * `put`: one event. Both fields go as an event, one alone as a patch, `--delete` as a delist. Numbers are
 * handed on as they are written: the service judges whether they can be kept. Main thread.
 */
import {
  type CommandContext,
  choiceOf,
  EXIT_DONE,
  EXIT_PARTIAL,
  hasFlag,
  type OptionValues,
  quoted,
  textOf,
  UsageError,
} from './command.ts';
import { type Call, Refused, ServiceClient } from './service-client.ts';

const NUMBER = /^-?(?:0|[1-9]\d*)(?:\.\d+)?(?:[eE][+-]?\d+)?$/;
const LEVELS = ['accepted', 'durable', 'applied'] as const;

export async function run({ values, operands, environment }: CommandContext): Promise<number> {
  const [id, ...more] = operands;
  if (id === undefined || more.length > 0) throw new UsageError('put needs one ID');
  const call = callOf(id, values);
  const client = ServiceClient.from(values, environment);
  try {
    process.stdout.write(`${(await client.ask(call)).text}\n`);
    return EXIT_DONE;
  } catch (error) {
    if (!(error instanceof Refused && error.status === 412)) throw error;
    process.stderr.write(`product-service: ${error.message}\n`);
    return EXIT_PARTIAL;
  } finally {
    client.close();
  }
}

function callOf(id: string, values: OptionValues): Call {
  const ack = choiceOf(values, 'ack', LEVELS) ?? 'applied';
  const at = textOf(values, 'at');
  const product = `/api/v1/products/${encodeURIComponent(id)}?ack=${ack}`;
  const members = (['price', 'stock'] as const).flatMap((name) => {
    const text = textOf(values, name);
    if (text === undefined) return [];
    if (!NUMBER.test(text)) throw new UsageError(`--${name} must be a number, not ${quoted(text)}`);
    return [`"${name}":${text}`];
  });
  if (hasFlag(values, 'delete')) {
    if (members.length > 0) throw new UsageError('--delete goes without --price and --stock');
    const time = at === undefined ? '' : `&occurred_at=${encodeURIComponent(at)}`;
    return { method: 'DELETE', path: product + time, headers: headersOf(values) };
  }
  if (members.length === 0) throw new UsageError('put needs --price, --stock or --delete');
  const isWhole = members.length === 2;
  if (isWhole) members.unshift(`"product_id":${JSON.stringify(id)}`);
  if (at !== undefined) members.push(`"occurred_at":${JSON.stringify(at)}`);
  return {
    method: isWhole ? 'POST' : 'PATCH',
    path: isWhole ? `/api/v1/events?ack=${ack}` : product,
    headers: { ...headersOf(values), 'content-type': 'application/json' },
    body: `{${members.join(',')}}`,
  };
}

function headersOf(values: OptionValues): Record<string, string> {
  const key = textOf(values, 'key');
  const version = textOf(values, 'if-match');
  if (version !== undefined && !/^(?:\d+|\*)$/.test(version)) {
    throw new UsageError(`--if-match must be a seq or *, not ${quoted(version)}`);
  }
  return {
    ...(key === undefined ? {} : { 'idempotency-key': key }),
    ...(version === undefined ? {} : { 'if-match': version === '*' ? '*' : `"${version}"` }),
  };
}
