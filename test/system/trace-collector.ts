/**
 * A collector of traces: a real HTTP server at /v1/traces that takes OTLP's protocol buffers and decodes
 * them by opentelemetry-proto's trace.proto, with a decoder of the tests' own.
 */
import { createServer, type IncomingHttpHeaders } from 'node:http';
import type { AddressInfo } from 'node:net';
import { gunzipSync } from 'node:zlib';
import type { Test } from 'tap';
import { polled } from '../helpers/bounded.ts';
import { bytesIn, fieldsOf, fixed64In, numberIn } from '../helpers/protobuf.ts';

const WAIT_MS_MAX = 60_000;

export interface CollectedSpan {
  readonly name: string;
  readonly traceId: string;
  readonly spanId: string;
  /** '' = none. */
  readonly parentId: string;
  readonly traceState: string;
  /** 2 = server, 1 = internal. */
  readonly kind: number;
  readonly startNs: bigint;
  readonly endNs: bigint;
  readonly attributes: Readonly<Record<string, unknown>>;
  readonly links: readonly { readonly traceId: string; readonly spanId: string }[];
  /** 2 = error. */
  readonly status: number;
  readonly resource: Readonly<Record<string, unknown>>;
}

export class TraceCollector {
  readonly spans: CollectedSpan[] = [];
  readonly requests: { readonly url: string; readonly headers: IncomingHttpHeaders }[] = [];
  /** What it answers. */
  status = 200;
  readonly #server = createServer((request, response) => {
    const chunks: Buffer[] = [];
    request.on('data', (chunk: Buffer) => chunks.push(chunk));
    request.on('end', () => {
      const { url = '', headers } = request;
      this.requests.push({ url, headers });
      const body = Buffer.concat(chunks);
      const message = headers['content-encoding'] === 'gzip' ? gunzipSync(body) : body;
      if (this.status === 200) this.spans.push(...spansIn(message));
      response.writeHead(this.status, { 'content-type': 'application/x-protobuf' }).end();
    });
  });

  /** Listens until the test is done. */
  static async start(t: Test): Promise<TraceCollector> {
    const collector = new TraceCollector();
    const server = collector.#server;
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    t.teardown(() => {
      server.closeAllConnections();
      server.close();
    });
    return collector;
  }

  get endpoint(): string {
    return `http://127.0.0.1:${(this.#server.address() as AddressInfo).port}`;
  }

  /** The first span that is so; waits for it. */
  span(what: string, isIt: (span: CollectedSpan) => boolean): Promise<CollectedSpan> {
    return polled(() => this.spans.find(isIt), WAIT_MS_MAX, `a span: ${what}`);
  }
}

/** ExportTraceServiceRequest → resource_spans → scope_spans → spans. */
function spansIn(message: Buffer): CollectedSpan[] {
  return bytesIn(fieldsOf(message), 1).flatMap((bytes) => {
    const resourceSpans = fieldsOf(bytes);
    const [resource] = bytesIn(resourceSpans, 1).map((each) => attributesIn(fieldsOf(each), 1));
    return bytesIn(resourceSpans, 2).flatMap((scope) =>
      bytesIn(fieldsOf(scope), 2).map((span) => spanOf(span, resource ?? {})),
    );
  });
}

function spanOf(bytes: Buffer, resource: Record<string, unknown>): CollectedSpan {
  const span = fieldsOf(bytes);
  const hex = (field: number, of = span) => bytesIn(of, field)[0]?.toString('hex') ?? '';
  const [status] = bytesIn(span, 15).map(fieldsOf);
  return {
    traceId: hex(1),
    spanId: hex(2),
    traceState: bytesIn(span, 3)[0]?.toString() ?? '',
    parentId: hex(4),
    name: bytesIn(span, 5)[0]?.toString() ?? '',
    kind: numberIn(span, 6),
    startNs: fixed64In(span, 7),
    endNs: fixed64In(span, 8),
    attributes: attributesIn(span, 9),
    links: bytesIn(span, 13).map((link) => {
      const fields = fieldsOf(link);
      return { traceId: hex(1, fields), spanId: hex(2, fields) };
    }),
    status: status === undefined ? 0 : numberIn(status, 3),
    resource,
  };
}

function attributesIn(fields: ReturnType<typeof fieldsOf>, field: number) {
  const pairs = bytesIn(fields, field).map((pair) => {
    const keyValue = fieldsOf(pair);
    const value = fieldsOf(bytesIn(keyValue, 2)[0] ?? Buffer.alloc(0));
    const [text] = value.has(1) ? bytesIn(value, 1) : [];
    const isTrue = value.has(2) ? numberIn(value, 2) === 1 : undefined;
    const known = text?.toString() ?? isTrue ?? (value.has(3) ? numberIn(value, 3) : undefined);
    return [bytesIn(keyValue, 1)[0]?.toString() ?? '', known] as const;
  });
  return Object.fromEntries(pairs);
}
