/**
 * Random requests against the real service: every route of the API's document, with the senders of all roles and
 * of none. Whatever comes: an answer, as the document describes it, no internal error, nothing for who may not;
 * and what is sent as the document has it is not refused for its form. REQUESTS and SEED say how many and which
 * (`npm run test:fuzz`); FIRST begins at one of them, CONNECTIONS=1 sends them one after the other.
 */
import t from 'tap';
import type { Role } from '../../src/auth/identity.ts';
import { mayAs, ROLES } from '../../src/auth/identity.ts';
import { checkAnswer, type Seen } from '../helpers/api/described-answers.ts';
import { tempDir } from '../helpers/disks/temp-dir.ts';
import { Random } from '../helpers/models/random.ts';
import { ServiceProcess } from '../helpers/processes/service-process.ts';
import { claims, SECRET, secretToken } from '../helpers/tokens.ts';
import { OPERATIONS } from './api-operations.ts';
import { type RandomRequest, randomRequest } from './random-request.ts';
import { RequestSender, type Tokens } from './request-sender.ts';

const REQUESTS = Number(process.env.REQUESTS ?? 20_000);
const SEED = Number(process.env.SEED ?? 20_261_129);
const FIRST = Number(process.env.FIRST ?? 0);
const CONNECTIONS = Number(process.env.CONNECTIONS ?? 16);
const FAULTS_MAX = 10;
/** Nothing that is sent makes one. */
const OF_A_DEAD_LETTER = /dead-letters\/\{id\}/;
/** Enough that each operation is reached, rare ones for operators too. */
const MANY = 15_000;
/** Of pino: what nobody should ever see. */
const ERROR_LEVEL = 50;

const SERVICE = {
  TRUST_PROXY: '127.0.0.0/8',
  MAX_MEMORY_USAGE: '16MB',
  SHARDS: '8',
  WORKERS: '2',
  HISTORY: '90d',
  BODY_LIMIT: '64KB',
  BATCH_LIMIT: '256KB',
  // Bodies that are shorter than they say are waited for so long.
  REQUEST_TIMEOUT: '5s',
  HEADERS_TIMEOUT: '5s',
};

/** How the form of a request is refused. */
const FORM_STATUSES: ReadonlySet<number> = new Set([400, 405, 406, 413, 414, 415, 431]);

async function tokens(): Promise<Tokens> {
  const of = (roles: readonly string[], secret = SECRET) =>
    secretToken(claims({ roles: [...roles] }), secret);
  return {
    nobody: undefined,
    forged: await of(['admin'], 'x'.repeat(32)),
    roleless: await of([]),
    reader: await of(['reader']),
    writer: await of(['writer']),
    admin: await of(['admin']),
  };
}

/** What is wrong with the answer; `undefined` if nothing is. `isOpen`: everybody may all. */
function faultOf(request: RandomRequest, seen: Seen, isOpen: boolean): string | undefined {
  const { operation, method, sender, isIntact } = request;
  const { status, text } = seen;
  if (status === 500 || /"code":"internal"/.test(text)) return 'an internal error';
  const role = ROLES.find((known) => known === sender);
  const mayCall = isOpen || operation.role === undefined || mayAs(role, operation.role as Role);
  const isOwn = method === operation.method || (method === 'HEAD' && operation.method === 'GET');
  if (status < 400 && isOwn && !mayCall) return `let in ${sender}`;
  if (isIntact && mayCall && (status === 401 || status === 403)) return `kept out ${sender}`;
  if (isIntact && mayCall && FORM_STATUSES.has(status)) return 'refused what the document has';
  try {
    checkAnswer(seen);
  } catch (error) {
    return (error as Error).message;
  }
  return undefined;
}

function inWords(number: number, { method, url, headers, body, sender }: RandomRequest): string {
  const shown =
    body === undefined ? 'no body' : JSON.stringify(body.toString('latin1').slice(0, 500));
  return `SEED=${SEED} FIRST=${number} REQUESTS=1: ${sender} ${method} ${url.slice(0, 300)} ${JSON.stringify(headers)} ${shown}`;
}

interface Run {
  readonly name: string;
  readonly env: Readonly<Record<string, string>>;
  readonly isOpen: boolean;
  /** Numbers of the requests. */
  readonly first: number;
  readonly end: number;
}

const OPEN_SHARE = 0.1;
const OPEN_FIRST = FIRST + Math.ceil(REQUESTS * (1 - OPEN_SHARE));
const RUNS: readonly Run[] = [
  {
    name: 'with authentication',
    // Rates that are never reached: what answers say of them is held to the document.
    env: { JWT_SECRET: SECRET, RATE_LIMIT: '1000000/1s' },
    isOpen: false,
    first: FIRST,
    end: OPEN_FIRST,
  },
  {
    name: 'without it, with rates that are reached',
    env: { RATE_LIMIT: '50/1s' },
    isOpen: true,
    first: OPEN_FIRST,
    end: FIRST + REQUESTS,
  },
];

for (const { name, env, isOpen, first, end } of RUNS) {
  if (end === first) continue;
  t.test(`${end - first} random requests ${name}, seed ${SEED}`, async (t) => {
    const service = await ServiceProcess.start(t, { cwd: tempDir(t), env: { ...SERVICE, ...env } });
    const port = await service.ready();
    const sender = new RequestSender(port, await tokens(), CONNECTIONS);
    t.teardown(() => sender.close());
    const faults: string[] = [];
    const statuses = new Map<number, number>();
    const reached = new Set<string>();
    let next = first;

    const sendAll = async () => {
      while (next < end && faults.length < FAULTS_MAX) {
        const number = next++;
        const request = randomRequest(new Random(SEED + number));
        try {
          const seen = await sender.send(request);
          if (seen === 'refused') continue;
          statuses.set(seen.status, (statuses.get(seen.status) ?? 0) + 1);
          const { method, path } = request.operation;
          if (seen.status < 400) reached.add(`${method} ${path}`);
          const fault = faultOf(request, seen, isOpen);
          if (fault !== undefined) faults.push(`${fault}\n${inWords(number, request)}`);
        } catch (error) {
          faults.push(`no answer: ${error}\n${inWords(number, request)}`);
        }
      }
    };
    await Promise.all(Array.from({ length: CONNECTIONS }, sendAll));

    t.comment(JSON.stringify(Object.fromEntries([...statuses].sort(([a], [b]) => a - b))));
    t.strictSame(faults, []);
    if (end - first >= MANY) {
      const known = OPERATIONS.map(({ method, path }) => `${method} ${path}`).filter(
        (name) => !OF_A_DEAD_LETTER.test(name),
      );
      t.strictSame([...reached].sort(), known.sort(), 'every operation was let through');
    }
    const ready = await fetch(`http://127.0.0.1:${port}/readyz`);
    t.equal(ready.status, 200, 'it goes on');
    await ready.arrayBuffer();
    sender.close();
    t.strictSame(await service.stop(), { code: 0, signal: null });
    t.strictSame(
      service.log.filter(({ level }) => level >= ERROR_LEVEL),
      [],
    );
    t.equal(service.stderr, '');
  });
}
