/**
 * Talks to a running service over HTTP: one request and its whole answer, or an answer that is read as it
 * comes. What the service refuses is `Refused`, with the problem's own words; a service that can't be reached
 * or goes away in the middle is `Unreachable`, and may be asked again. Main thread.
 */
import { Agent as HttpAgent, request as httpRequest, type IncomingMessage } from 'node:http';
import { Agent as HttpsAgent, request as httpsRequest } from 'node:https';
import { CommandError, EXIT_FAILED, type OptionValues, textOf, UsageError } from './command.ts';

const URL_DEFAULT = 'http://127.0.0.1:8080';
/** How long a service may take to say anything. */
const SILENCE_MS_MAX = 120_000;
const PROBLEM_CHARS_MAX = 1 << 20;

const NO_PROBLEM: Problem = { code: '', title: '', detail: '', outcome: undefined, errors: [] };

export interface Call {
  readonly method?: string;
  /** From the root of the service, with its query. */
  readonly path: string;
  /** Media type that the answer has to have; JSON, unless given. */
  readonly accept?: string;
  readonly headers?: Readonly<Record<string, string>>;
  readonly body?: Uint8Array | string;
}

export interface Answer {
  readonly status: number;
  readonly headers: IncomingMessage['headers'];
  readonly text: string;
}

/** A fault of an event as the service lists it. */
export interface ListedFault {
  readonly line?: number;
  readonly pointer: string;
  readonly detail: string;
}

/** What a problem says (RFC 9457, docs/errors.md). */
export interface Problem {
  readonly code: string;
  readonly title: string;
  readonly detail: string;
  readonly outcome: string | undefined;
  readonly errors: readonly ListedFault[];
}

/** The service, or what stands before it, has answered with an error. */
export class Refused extends CommandError {
  override readonly name = 'Refused';
  readonly status: number;
  readonly problem: Problem;
  /** What Retry-After asks for, ms. */
  readonly retryAfterMs: number | undefined;

  constructor(answer: Answer, problem: Problem = problemOf(answer)) {
    const faults = problem.errors.map(({ pointer, detail }) => ` ${pointer} ${detail}`.trimEnd());
    super(
      `${answer.status} ${problem.title}: ${problem.detail}${faults.join('')}`.trim(),
      EXIT_FAILED,
    );
    this.status = answer.status;
    this.problem = problem;
    const seconds = Number(answer.headers['retry-after']);
    this.retryAfterMs = Number.isFinite(seconds) ? seconds * 1000 : undefined;
  }
}

/** No answer, or not all of one. */
export class Unreachable extends CommandError {
  override readonly name = 'Unreachable';
}

export class ServiceClient {
  readonly url: URL;
  readonly #token: string | undefined;
  readonly #agent: HttpAgent;

  constructor(url: URL, token: string | undefined) {
    this.url = url;
    this.#token = token;
    const options = { keepAlive: true, maxSockets: 4 };
    this.#agent = url.protocol === 'https:' ? new HttpsAgent(options) : new HttpAgent(options);
  }

  /** The service that options and environment name. Throws UsageError. */
  static from(
    values: OptionValues,
    environment: Readonly<Record<string, string | undefined>>,
  ): ServiceClient {
    const text = textOf(values, 'url') ?? environment.PRODUCT_SERVICE_URL ?? URL_DEFAULT;
    const url = URL.canParse(text) ? new URL(text) : undefined;
    if (url === undefined || !/^https?:$/.test(url.protocol) || url.search + url.hash !== '') {
      throw new UsageError(
        `--url must be like http://127.0.0.1:8080 or https://shop.example/products, not ${JSON.stringify(text)}`,
      );
    }
    const token = textOf(values, 'token') ?? environment.PRODUCT_SERVICE_TOKEN;
    if (token !== undefined && !/^[\x21-\x7e]+$/.test(token)) {
      throw new UsageError('the token must be visible ASCII characters, without blanks');
    }
    return new ServiceClient(url, token);
  }

  /** The answer, whole; throws Refused for whatever is not what was asked for, and Unreachable. */
  async ask(call: Call): Promise<Answer> {
    const response = await this.open(call);
    const text = await textOfAnswer(response, this.url);
    return { status: response.statusCode ?? 0, headers: response.headers, text };
  }

  /** The answer as it comes; throws as `ask` does. */
  async open(call: Call): Promise<IncomingMessage> {
    const response = await this.#sent(call);
    const { statusCode: status = 0, headers } = response;
    if (!isSuccess(call, status)) {
      const answer = { status, headers, text: await textOfAnswer(response, this.url) };
      throw new Refused(answer, redirection(call, answer, this.url));
    }
    const expected = acceptOf(call);
    const type = headers['content-type']?.split(';')[0]?.trim().toLowerCase() ?? 'no content type';
    if (type === expected) return response;
    response.destroy();
    const title = 'no answer of this service';
    const detail = `it has ${type} in place of ${expected}; look at --url, and at what stands between`;
    throw new Refused({ status, headers, text: '' }, { ...NO_PROBLEM, title, detail });
  }

  /** Lets go of connections that are kept. */
  close(): void {
    this.#agent.destroy();
  }

  #sent(call: Call): Promise<IncomingMessage> {
    const { method = 'GET', path, headers = {}, body } = call;
    const base = this.url.pathname.replace(/\/$/, '');
    const send = this.url.protocol === 'https:' ? httpsRequest : httpRequest;
    const authorization =
      this.#token === undefined ? {} : { authorization: `Bearer ${this.#token}` };
    const length = body === undefined ? {} : { 'content-length': Buffer.byteLength(body) };
    return new Promise((resolve, reject) => {
      const request = send(new URL(this.url.origin), {
        method,
        path: base + path,
        agent: this.#agent,
        headers: { accept: acceptOf(call), ...authorization, ...length, ...headers },
        timeout: SILENCE_MS_MAX,
      });
      request.on('response', resolve);
      request.on('timeout', () => request.destroy(new Error('it says nothing')));
      request.on('error', (error) => reject(unreachable(this.url, error)));
      request.end(body);
    });
  }
}

/** The error for a service that doesn't answer, or not to the end. */
export function unreachable(url: URL, error: Error): Unreachable {
  // Of a name with several addresses, each has a reason of its own.
  const reasons = error instanceof AggregateError ? error.errors.map(String) : [error.message];
  return new Unreachable(`${url.origin} can't be reached: ${reasons.join('; ')}`);
}

async function textOfAnswer(response: IncomingMessage, url: URL): Promise<string> {
  let text = '';
  try {
    for await (const part of response.setEncoding('utf8')) text += part;
  } catch (error) {
    throw unreachable(url, error instanceof Error ? error : new Error(String(error)));
  }
  return text;
}

function acceptOf({ accept = 'application/json' }: Call): string {
  return accept;
}

/** Of a read nothing but all of it; writes are answered with several statuses. */
function isSuccess({ method = 'GET' }: Call, status: number): boolean {
  return method === 'GET' ? status === 200 : status >= 200 && status < 300;
}

/** What a redirect says, if it is one: where the service is to be asked instead. */
function redirection(call: Call, { status, headers }: Answer, url: URL): Problem | undefined {
  const { location } = headers;
  if (status < 300 || status > 399 || location === undefined) return undefined;
  const title = 'redirected';
  if (!URL.canParse(location, url.href)) return { ...NO_PROBLEM, title, detail: `to ${location}` };
  const { origin, pathname, href } = new URL(location, url);
  const path = call.path.replace(/\?.*$/, '');
  const detail = pathname.endsWith(path)
    ? `--url is to be ${origin}${pathname.slice(0, -path.length)}`
    : `to ${href}, which is none of the service's paths`;
  return { ...NO_PROBLEM, title, detail };
}

/** The problem, or the like of it where a proxy answered. */
function problemOf({ status, text }: Answer): Problem {
  const value = text.length > PROBLEM_CHARS_MAX ? undefined : parsed(text);
  const member = (name: string) => {
    const found = value?.[name];
    return typeof found === 'string' ? found : undefined;
  };
  const errors = Array.isArray(value?.errors) ? (value.errors as ListedFault[]) : [];
  return {
    code: member('code') ?? '',
    title: member('title') ?? `status ${status}`,
    detail: member('detail') ?? text.slice(0, 200).replaceAll(/\s+/g, ' '),
    outcome: member('outcome'),
    errors,
  };
}

function parsed(text: string): Record<string, unknown> | undefined {
  try {
    const value: unknown = JSON.parse(text);
    return typeof value === 'object' && value !== null ? { ...value } : undefined;
  } catch {
    return undefined;
  }
}
