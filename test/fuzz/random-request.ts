/**
 * Random requests, made from the operations of the API's document: some as it describes them, most with one
 * or more things broken. Tests only; pure but for `random`: the same seed and number make the same request.
 */
import { Buffer } from 'node:buffer';
import { brotliCompressSync, gzipSync, zstdCompressSync } from 'node:zlib';
import type { Random } from '../helpers/models/random.ts';
import { OPERATIONS, type Operation, type Parameter, type Schema } from './api-operations.ts';
import { broken, fittingValue, oddText, oddValue } from './schema-values.ts';

export const SENDERS = ['nobody', 'forged', 'roleless', 'reader', 'writer', 'admin'] as const;

export interface RandomRequest {
  readonly operation: Operation;
  readonly method: string;
  /** Path and query, as they are sent. */
  readonly url: string;
  readonly headers: Readonly<Record<string, string | string[]>>;
  readonly body: Buffer | undefined;
  readonly sender: (typeof SENDERS)[number];
  /** Whether all of it is as the document has it, so that it can't be refused for its form. */
  readonly isIntact: boolean;
}

const METHODS = [
  'GET',
  'HEAD',
  'POST',
  'PUT',
  'PATCH',
  'DELETE',
  'OPTIONS',
  'TRACE',
  'QUERY',
  'PROPFIND',
];
const UNKNOWN_PATHS = [
  '/api/v1',
  '/api/v1/products/',
  '/api/v2/events',
  '/admin',
  '/.env',
  '/docs/x',
  '//',
  '/*',
];
const TYPES = [
  'application/json',
  'application/json; charset=utf-8',
  'application/json; charset=latin1',
  'application/x-ndjson',
  'application/merge-patch+json',
  'text/plain',
  'multipart/form-data; boundary=x',
  'application/x-www-form-urlencoded',
  'json',
  '',
  'application/json, text/plain',
];
/** Headers that no operation describes, or describes otherwise. */
const ODD_HEADERS: readonly (readonly [string, readonly string[]])[] = [
  [
    'accept',
    [
      '*/*',
      'text/event-stream',
      'application/json',
      'application/x-ndjson',
      'image/*;q=0',
      ',;q=',
      'a/b',
    ],
  ],
  ['accept-encoding', ['gzip', 'br;q=1, zstd;q=0.5', 'identity;q=0', '*', ';;']],
  ['content-encoding', ['gzip', 'br', 'zstd', 'identity', 'deflate', 'gzip, br', 'x']],
  ['if-match', ['*', '"1"', 'W/"1"', '"1", "2"', '1', '""', '"99999999999999999999"']],
  ['if-none-match', ['*', '"1"', 'W/"7"', 'x']],
  ['if-modified-since', ['Thu, 01 Jan 1970 00:00:00 GMT', 'x']],
  ['if-unmodified-since', ['Thu, 01 Jan 2070 00:00:00 GMT']],
  ['range', ['bytes=0-10', 'x']],
  ['expect', ['100-continue', 'x']],
  ['idempotency-key', ['a b', '"quoted"', 'x'.repeat(300), '', 'k1']],
  ['last-event-id', ['-1', '9'.repeat(30), 'x', '5']],
  ['x-forwarded-for', ['1.2.3.4', 'x, y']],
  ['x-request-id', ['abc', '<script>', 'x'.repeat(400)]],
  ['traceparent', ['00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01', '00-x', 'ff']],
  ['origin', ['https://evil.example', 'null']],
  ['upgrade', ['websocket', 'h2c']],
  ['transfer-encoding', ['chunked']],
  ['content-type', TYPES],
  ['cookie', ['a=b']],
  ['x-http-method-override', ['DELETE']],
];
const TEXTS = [
  '',
  '{',
  'null',
  '[]',
  '{}',
  '1e400',
  '[[[[[[[[',
  '{"a":1}{',
  '\ufeff{}',
  '{"__proto__":{"admin":true}}',
];

/** The part of requests that are sent as the document describes them. */
const INTACT = 0.25;

export function randomRequest(random: Random): RandomRequest {
  const operation = picked(random);
  const isIntact = random.chance(INTACT);
  const sender = random.chance(0.6) ? random.pick(SENDERS.slice(3)) : random.pick(SENDERS);
  const isStray = !isIntact && random.chance(0.06);
  const path = isStray ? random.pick(UNKNOWN_PATHS) : pathOf(operation, isIntact, random);
  const method = isIntact || random.chance(0.9) ? operation.method : random.pick(METHODS);
  const headers = headersOf(operation, isIntact, random);
  const body = bodyOf(operation, isIntact, headers, random);
  const url = path + queryOf(operation, isIntact, random);
  return { operation, method, url, headers, body, sender, isIntact };
}

/** They take as many seconds as they are asked for. */
const PROFILES = '/debug/pprof/';
const ODD_SECONDS = ['x', '0', '-1', '1.5', '', '9e9'];

/** What operators ask may take its time: little of it. */
function picked(random: Random): Operation {
  const operation = random.pick(OPERATIONS);
  const rarely = operation.path.startsWith(PROFILES) ? 0.99 : 0.98;
  return operation.tag === 'Administration' && random.chance(rarely) ? picked(random) : operation;
}

function pathOf({ path, parameters }: Operation, isIntact: boolean, random: Random): string {
  return path.replaceAll(/\{(\w+)\}/g, (_, name: string) => {
    const { schema } = parameters.find((each) => each.in === 'path' && each.name === name) ?? {};
    if (isIntact || random.chance(0.7)) {
      const value = schema === undefined ? 'x' : String(fittingValue(schema, random));
      return encodeURIComponent(value === '' ? 'x' : value);
    }
    switch (random.below(4)) {
      case 0:
        return random.pick([
          '%',
          '%zz',
          '%00',
          '%ff',
          '..',
          '%2e%2e',
          'a%2Fb',
          '%F0%9F',
          '{id}',
          '',
          'a/b',
        ]);
      case 1:
        return 'x'.repeat(random.integer(60, 9000));
      default:
        return encodeURIComponent(oddText(random).toWellFormed());
    }
  });
}

function queryOf({ path, parameters }: Operation, isIntact: boolean, random: Random): string {
  const pairs: string[] = [];
  const add = (name: string, value: unknown) => {
    pairs.push(
      `${encodeURIComponent(name.toWellFormed())}=${encodeURIComponent(String(value).toWellFormed())}`,
    );
  };
  if (path.startsWith(PROFILES))
    add('seconds', isIntact || random.chance(0.5) ? 1 : random.pick(ODD_SECONDS));
  else if (!isIntact) {
    for (const parameter of parameters) {
      if (parameter.in !== 'query' || random.chance(0.6)) continue;
      addParameter(parameter, add, random);
      // What waits for an event that nobody sends waits for half a second else.
      if (parameter.name === 'min_seq' && random.chance(0.95)) add('wait', '5ms');
    }
    if (random.chance(0.05)) add(oddText(random), oddText(random));
    if (random.chance(0.02))
      pairs.push(random.pick(['&', '=', '%', '%zz=%', 'a=b=c', '__proto__=1', '?']));
  }
  return pairs.length === 0 ? '' : `?${pairs.join('&')}`;
}

function addParameter(
  { name, schema }: Parameter,
  add: (name: string, value: unknown) => void,
  random: Random,
): void {
  const value = random.chance(0.75) ? fittingValue(schema, random) : oddValue(random);
  for (const each of Array.isArray(value) ? value : [value]) add(name, each);
  if (random.chance(0.03)) add(name, oddText(random));
}

function headersOf(
  { parameters }: Operation,
  isIntact: boolean,
  random: Random,
): Record<string, string | string[]> {
  const headers: Record<string, string | string[]> = {};
  if (isIntact) return headers;
  for (const { in: place, name, schema } of parameters) {
    if (place === 'header' && random.chance(0.2))
      headers[name] = String(fittingValue(schema, random));
  }
  while (random.chance(0.3)) {
    const [name, values] = random.pick(ODD_HEADERS);
    // A coding that isn't there makes every body unreadable.
    headers[name] = random.chance(0.1)
      ? [random.pick(values), random.pick(values)]
      : random.pick(values);
  }
  return headers;
}

/** Its type and coding go into `headers`, unless others are there. */
function bodyOf(
  { bodies, method }: Operation,
  isIntact: boolean,
  headers: Record<string, string | string[]>,
  random: Random,
): Buffer | undefined {
  const [type, schema] = random.pick([...bodies]) ?? [];
  if (type === undefined || schema === undefined) {
    if (isIntact || random.chance(0.9)) return undefined;
    headers['content-type'] ??= random.pick(TYPES);
    return Buffer.from(random.pick(TEXTS));
  }
  if (!isIntact && random.chance(0.03)) return undefined;
  headers['content-type'] ??= isIntact || random.chance(0.95) ? type : random.pick(TYPES);
  const text = textOf(schema, isIntact || random.chance(0.5), random);
  const bytes = isIntact || random.chance(0.95) ? Buffer.from(text) : damaged(text, random);
  const takesCodings = method === 'POST' && bodies.size > 1;
  return !isIntact && takesCodings ? coded(bytes, headers, random) : bytes;
}

function textOf(schema: Schema, isValid: boolean, random: Random): string {
  const items = schema['x-item-schema'];
  if (items !== undefined) {
    const count = random.chance(0.02) ? 2000 : random.integer(1, 6);
    return Array.from({ length: count }, () =>
      textOf(items, isValid || random.chance(0.8), random),
    ).join('\n');
  }
  const value = fittingValue(schema, random);
  return JSON.stringify(isValid ? value : broken(value, random)) ?? '';
}

function damaged(text: string, random: Random): Buffer {
  switch (random.below(4)) {
    case 0:
      return Buffer.from(random.pick(TEXTS));
    case 1:
      return Buffer.from(text.slice(0, random.below(text.length + 1)));
    case 2:
      return Buffer.from(text.replace(/:/, random.pick([':,', ':-', ':1e', '::', ':"\u0000'])));
    default: {
      const bytes = Buffer.from(text);
      if (bytes.length > 0) bytes[random.below(bytes.length)] = random.below(256);
      return bytes;
    }
  }
}

function coded(bytes: Buffer, headers: Record<string, string | string[]>, random: Random): Buffer {
  if (random.chance(0.7)) return bytes;
  const coding = random.pick(['gzip', 'br', 'zstd'] as const);
  headers['content-encoding'] = coding;
  const whole = { gzip: gzipSync, br: brotliCompressSync, zstd: zstdCompressSync }[coding](bytes);
  return random.chance(0.85) ? whole : whole.subarray(0, random.below(whole.length));
}
