/**
 * Compares answers with what docs/openapi.json says of them: status, content type, body and headers.
 * Both sides of a test use it, the app (`watchApp`, `watchServer`) and the clients (`checkAnswer`), so that
 * every answer of the test suite is one that the document promises. Left out are: answers to what
 * never becomes a request (raw sockets), headers that are missing, bodies of HEAD.
 */
import { readFileSync } from 'node:fs';
import type { OutgoingHttpHeaders, Server, ServerResponse } from 'node:http';
import { brotliDecompressSync, constants, gunzipSync, zstdDecompressSync } from 'node:zlib';
import { Ajv2020, type ValidateFunction } from 'ajv/dist/2020.js';
import addFormats from 'ajv-formats';
import type { FastifyInstance } from 'fastify';
import { ServiceResponse } from '../../../src/http/connection/service-response.ts';

export interface Seen {
  readonly method: string;
  /** As requested, with its query. */
  readonly url: string;
  readonly status: number;
  readonly headers: OutgoingHttpHeaders;
  /** The beginning of the body where that is long. */
  readonly text: string;
  readonly isWhole: boolean;
}

interface Media {
  readonly schema: { readonly 'x-item-schema'?: object };
}
interface DescribedAnswer {
  readonly headers?: Readonly<Record<string, { readonly schema: object }>>;
  readonly content?: Readonly<Record<string, Media>>;
}
interface Operation {
  readonly responses: Readonly<Record<string, DescribedAnswer>>;
}
type Paths = Readonly<Record<string, Readonly<Record<string, Operation>>>>;

const DOCUMENT_ID = 'openapi.json';
const PROBLEM_TYPE = 'application/problem+json';
const PROBLEM_POINTER = '/components/schemas/Problem';
/** Streams are checked up to here; they repeat themselves. */
const CHECKED_BYTES_MAX = 200_000;

/** What HTTP itself adds, or says of any representation, and what is on every answer. */
const COMMON_HEADERS = new Set([
  'access-control-allow-headers',
  'access-control-allow-methods',
  'access-control-allow-origin',
  'access-control-expose-headers',
  'access-control-max-age',
  'connection',
  'content-length',
  'content-type',
  'date',
  'keep-alive',
  'ratelimit',
  'ratelimit-policy',
  'traceresponse',
  'transfer-encoding',
  'vary',
  'x-content-type-options',
]);
/** Every answer has it. */
const REQUEST_ID = /^[\w.~:@/+=-]{1,128}$/;

/** Read when it is first needed: the document is made by an app that is watched, too. */
function contract() {
  parsed ??= parse();
  return parsed;
}

let parsed: ReturnType<typeof parse> | undefined;

function parse() {
  const document = JSON.parse(
    readFileSync(new URL('../../../docs/openapi.json', import.meta.url), 'utf8'),
  ) as { readonly paths: Paths };
  const ajv = new Ajv2020({ strict: false, allErrors: true });
  addFormats.default(ajv);
  // The names under which the API checks its input; here they are only described.
  for (const name of ['product-id', 'event-id', 'event-time']) ajv.addFormat(name, true);
  ajv.addSchema(document, DOCUMENT_ID);

  const paths = Object.entries(document.paths).map(([path, methods]) => ({
    path,
    methods,
    pattern: new RegExp(`^${path.replace(/\{\w+\}/g, '[^/]+')}$`),
    isLiteral: !path.includes('{'),
  }));
  return { ajv, paths };
}

/** Throws if the document does not describe `seen`. */
export function checkAnswer(seen: Seen): void {
  const faults = faultsOf(seen);
  if (faults.length === 0) return;
  const { method, url, status } = seen;
  throw new Error(
    `docs/openapi.json does not describe the answer ${status} to ${method} ${url}: ` +
      `${faults.join('; ')}\n${JSON.stringify(seen.headers)}\n${seen.text.slice(0, 2000)}`,
  );
}

function faultsOf(seen: Seen): string[] {
  if (!REQUEST_ID.test(String(seen.headers['x-request-id']))) return ['it has no x-request-id'];
  const [path] = seen.url.split('?');
  const { paths } = contract();
  const known =
    paths.find((each) => each.isLiteral && each.path === path) ??
    paths.find((each) => each.pattern.test(path));
  const method = seen.method.toLowerCase();
  const name = method === 'head' ? 'get' : method;
  const operation = known?.methods[name];
  if (known === undefined || operation === undefined) return undescribedFaults(seen);
  const pointer = `/paths/${escaped(known.path)}/${name}/responses/${seen.status}`;
  const described = operation.responses[seen.status];
  if (described === undefined) return ['the status is not described'];
  return [
    ...headerFaults(seen, described, pointer),
    ...(method === 'head' ? [] : bodyFaults(seen, described, pointer)),
  ];
}

/** Whatever is no operation is refused with a problem, the pages that describe the API apart. */
function undescribedFaults(seen: Seen): string[] {
  if (seen.method === 'OPTIONS' && seen.status === 204) return []; // a preflight
  if (seen.status < 400) {
    const [path] = seen.url.split('?');
    const isPage = path === '/' || path.startsWith('/status/') || path.startsWith('/docs');
    return path === '/openapi.json' || isPage ? [] : ['no such operation'];
  }
  if (typeOf(seen) !== PROBLEM_TYPE) return [`the content type is ${typeOf(seen)}`];
  if (seen.method === 'HEAD') return [];
  return faultsBy(PROBLEM_POINTER, JSON.parse(seen.text));
}

function headerFaults(seen: Seen, described: DescribedAnswer, pointer: string): string[] {
  return Object.entries(seen.headers).flatMap(([header, value]) => {
    const name = header.toLowerCase();
    if (COMMON_HEADERS.has(name) || name === 'x-request-id') return [];
    const schema = described.headers?.[name]?.schema as { type?: string } | undefined;
    if (schema === undefined) return [`the header ${name} is not described`];
    const typed = schema.type === 'integer' ? Number(value) : String(value);
    return faultsBy(`${pointer}/headers/${name}/schema`, typed);
  });
}

function bodyFaults(seen: Seen, { content }: DescribedAnswer, pointer: string): string[] {
  if (content === undefined) return seen.text === '' ? [] : ['no body is described'];
  const type = typeOf(seen);
  const media = content[type];
  if (media === undefined) return [`the content type ${type} is not described`];
  const at = `${pointer}/content/${escaped(type)}/schema`;
  if (media.schema['x-item-schema'] === undefined) {
    const isJson = /[/+]json$/.test(type);
    return seen.isWhole ? faultsBy(at, isJson ? JSON.parse(seen.text) : seen.text) : [];
  }
  return itemsOf(seen, type).flatMap((item) => faultsBy(`${at}/x-item-schema`, JSON.parse(item)));
}

/** The JSON texts in a stream, without the last where it may be cut. */
function itemsOf({ text }: Seen, type: string): string[] {
  if (/^application\/(x-)?ndjson$/.test(type)) return text.split('\n').slice(0, -1);
  return text
    .split('\n\n')
    .slice(0, -1)
    .filter((event) => !/^event: /m.test(event)) // position, reset and the final ones carry a seq only
    .flatMap((event) => /^data: (.*)$/m.exec(event)?.[1] ?? []);
}

function faultsBy(pointer: string, value: unknown): string[] {
  const ref = `${DOCUMENT_ID}#${pointer}`;
  const validate = contract().ajv.getSchema(ref) as ValidateFunction | undefined;
  if (validate === undefined) throw new Error(`no schema at ${ref}`);
  if (validate(value)) return [];
  return [contract().ajv.errorsText(validate.errors, { dataVar: 'body' })];
}

function typeOf({ headers }: Seen): string {
  const type = headers['content-type'] ?? headers['Content-Type'] ?? '';
  return String(type).split(';')[0];
}

/** A member's name in a JSON pointer that stands in a URI. */
function escaped(name: string): string {
  return encodeURIComponent(name.replaceAll('~', '~0').replaceAll('/', '~1'));
}

/**
 * Checks every answer of `server`, which runs, from now on; one that is not described ends the
 * test's process.
 */
export function watchServer(server: Server): void {
  server.prependListener('request', ({ method = '', url = '' }, response) => {
    watch(response, (answer) => checkAnswer({ ...answer, method, url }));
  });
}

/** The same of `app`, which is not ready yet, requests that are injected included. */
export function watchApp(app: FastifyInstance): void {
  app.addHook('onRequest', (request, reply, done) => {
    watch(reply.raw, (answer) =>
      checkAnswer({ ...answer, method: request.method, url: request.url }),
    );
    done();
  });
}

function watch(
  response: ServerResponse,
  onAnswer: (answer: Omit<Seen, 'method' | 'url'>) => void,
): void {
  const chunks: Buffer[] = [];
  let bytes = 0;
  let isWhole = true;
  let isEnded = false;
  const take = (chunk: unknown) => {
    // The end of an injected request's response writes, too.
    if (isEnded || (typeof chunk !== 'string' && !(chunk instanceof Uint8Array))) return;
    if (bytes > CHECKED_BYTES_MAX) {
      isWhole = false;
      return;
    }
    // A copy: whoever compresses uses his buffers again.
    const copy = typeof chunk === 'string' ? Buffer.from(chunk) : Buffer.copyBytesFrom(chunk);
    chunks.push(copy);
    bytes += copy.length;
  };
  let given: OutgoingHttpHeaders = {};
  const writeHead = response.writeHead.bind(response) as (...args: unknown[]) => ServerResponse;
  // Headers given to writeHead are not found by getHeaders afterwards.
  response.writeHead = ((...args: unknown[]) => {
    given = (args.find((arg) => typeof arg === 'object') ?? {}) as OutgoingHttpHeaders;
    return writeHead(...args);
  }) as typeof response.writeHead;
  if (response instanceof ServiceResponse) {
    const begin = response.begin.bind(response);
    response.begin = (status, lines, ...rest) => {
      given = headersIn(lines);
      return begin(status, lines, ...rest);
    };
  }
  const write = response.write.bind(response) as (...args: unknown[]) => boolean;
  response.write = ((...args: unknown[]) => {
    take(args[0]);
    return write(...args);
  }) as typeof response.write;
  const end = response.end.bind(response) as (...args: unknown[]) => ServerResponse;
  response.end = ((...args: unknown[]) => {
    if (isEnded) return end(...args);
    take(args[0]);
    isEnded = true;
    const { statusCode: status } = response;
    const headers = { ...response.getHeaders(), ...given };
    // Thrown where no caller can catch it.
    queueMicrotask(() => {
      const text = decoded(Buffer.concat(chunks), headers['content-encoding'], isWhole);
      onAnswer({ status, headers, text, isWhole });
    });
    return end(...args);
  }) as typeof response.end;
}

/** The headers in `lines`. */
function headersIn(lines: string): OutgoingHttpHeaders {
  const headers = lines.split('\r\n').flatMap((line) => {
    const at = line.indexOf(': ');
    return at < 0 ? [] : [[line.slice(0, at), line.slice(at + 2)] as const];
  });
  return Object.fromEntries(headers);
}

/** The text of a body in the coding that its headers say; its beginning if it isn't whole. */
function decoded(bytes: Buffer, coding: unknown, isWhole: boolean): string {
  if (bytes.length === 0 || coding === undefined) return bytes.toString();
  const { Z_SYNC_FLUSH, BROTLI_OPERATION_FLUSH, ZSTD_e_flush } = constants;
  const flush = (finishFlush: number) => (isWhole ? {} : { finishFlush });
  if (coding === 'gzip') return gunzipSync(bytes, flush(Z_SYNC_FLUSH)).toString();
  if (coding === 'br') return brotliDecompressSync(bytes, flush(BROTLI_OPERATION_FLUSH)).toString();
  if (coding === 'zstd') return zstdDecompressSync(bytes, flush(ZSTD_e_flush)).toString();
  throw new Error(`content-encoding is ${coding}`);
}
