/** `dead-letters`: what sinks and appliers could not take: lists it, sends it again, throws it away. Main thread. */
import {
  type CommandContext,
  EXIT_DONE,
  EXIT_PARTIAL,
  EXIT_QUEUED,
  hasFlag,
  quoted,
  textOf,
  UsageError,
} from './command.ts';
import { Refused, ServiceClient } from './service-client.ts';

const PATH = '/api/v1/dead-letters';
const PAGE = 1000;
const FILTERS = ['source', 'product'] as const;
/** What a letter that was sent again has come to, if it is settled. */
const SETTLED: readonly string[] = ['written', 'sent', 'deleted'];

interface Letter {
  readonly id: number;
  readonly source: string;
  readonly product_id: string;
  readonly seq: number;
  readonly code: string;
  readonly reason: string;
  readonly last_at: string;
  readonly times: number;
}

export async function run({ values, operands, environment }: CommandContext): Promise<number> {
  const [action = 'list', ...ids] = operands;
  if (!['list', 'redrive', 'delete'].includes(action)) {
    throw new UsageError(`dead-letters takes list, redrive or delete, not ${quoted(action)}`);
  }
  const takesAll = hasFlag(values, 'all');
  const wrong = ids.find((id) => !/^[1-9]\d*$/.test(id));
  if (wrong !== undefined) throw new UsageError(`${quoted(wrong)} is no number of a letter`);
  if (action === 'list' && (ids.length > 0 || takesAll)) {
    throw new UsageError('dead-letters list takes no numbers and no --all');
  }
  if (action !== 'list' && ids.length > 0 === takesAll) {
    throw new UsageError(`dead-letters ${action} takes numbers of letters, or --all`);
  }
  if (action !== 'list' && hasFlag(values, 'json')) throw new UsageError('--json goes with list');
  if (ids.length > 0 && FILTERS.some((name) => textOf(values, name) !== undefined)) {
    throw new UsageError('--source and --product choose letters: they go without numbers');
  }
  const client = ServiceClient.from(values, environment);
  const filter = FILTERS.flatMap((name) => {
    const text = textOf(values, name);
    const parameter = name === 'product' ? 'product_id' : name;
    return text === undefined ? [] : [`${parameter}=${encodeURIComponent(text)}`];
  });
  try {
    if (action === 'list') return await list(client, filter, hasFlag(values, 'json'));
    const chosen = takesAll ? await allIds(client, filter) : ids;
    return await settle(client, action, chosen);
  } finally {
    client.close();
  }
}

async function* letters(client: ServiceClient, filter: readonly string[]): AsyncGenerator<Letter> {
  let cursor: string | null = null;
  do {
    const at = cursor === null ? [] : [`cursor=${encodeURIComponent(cursor)}`];
    const query = [`limit=${PAGE}`, ...filter, ...at].join('&');
    const { text } = await client.ask({ path: `${PATH}?${query}` });
    const page = JSON.parse(text) as { letters: readonly Letter[]; next: string | null };
    yield* page.letters;
    cursor = page.next;
  } while (cursor !== null);
}

async function list(client: ServiceClient, filter: readonly string[], isJson: boolean) {
  for await (const letter of letters(client, filter)) {
    const { id, source, product_id, seq, code, reason, last_at, times } = letter;
    const text = isJson
      ? JSON.stringify(letter)
      : `${id}  ${last_at}  ${source}  ${JSON.stringify(product_id)} seq ${seq}  ${code}: ${JSON.stringify(reason)}${times > 1 ? `  ${times} times` : ''}`;
    process.stdout.write(`${text}\n`);
  }
  return EXIT_DONE;
}

async function allIds(client: ServiceClient, filter: readonly string[]): Promise<string[]> {
  const ids: string[] = [];
  for await (const { id } of letters(client, filter)) ids.push(String(id));
  return ids;
}

/** Says of each what has come of it; those that are left make it EXIT_PARTIAL, those that only wait EXIT_QUEUED. */
async function settle(client: ServiceClient, action: string, ids: readonly string[]) {
  let code = EXIT_DONE;
  let queued = 0;
  for (const id of ids) {
    const call =
      action === 'redrive'
        ? { method: 'POST', path: `${PATH}/${id}/redrive` }
        : { method: 'DELETE', path: `${PATH}/${id}` };
    try {
      const { status } = JSON.parse((await client.ask(call)).text) as { status: string };
      if (status === 'queued') queued++;
      else if (!SETTLED.includes(status)) code = EXIT_PARTIAL;
      process.stdout.write(`${id}  ${status}\n`);
    } catch (error) {
      if (!(error instanceof Refused)) throw error;
      code = EXIT_PARTIAL;
      process.stderr.write(`product-service: letter ${id}: ${error.message}\n`);
    }
  }
  if (queued > 0) {
    const who =
      queued === 1 ? '1 letter waits for its sink' : `${queued} letters wait for their sinks`;
    process.stderr.write(`product-service: ${who}, to be written when that can be reached\n`);
  }
  return code === EXIT_DONE && queued > 0 ? EXIT_QUEUED : code;
}
