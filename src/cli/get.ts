/** `get`: products by id, in the order asked for, one JSON object a line. Main thread. */
import {
  type CommandContext,
  countOf,
  EXIT_DONE,
  EXIT_PARTIAL,
  hasFlag,
  UsageError,
} from './command.ts';
import { ServiceClient } from './service-client.ts';

/** So that the URL stays below what proxies take. */
const IDS_PER_REQUEST = 50;

interface Found {
  readonly products: readonly unknown[];
  readonly missing: readonly string[];
}

export async function run({ values, operands, environment }: CommandContext): Promise<number> {
  if (operands.length === 0) throw new UsageError('get needs an ID');
  const minSeq = countOf(values, 'min-seq');
  const client = ServiceClient.from(values, environment);
  const rest = [
    ...(hasFlag(values, 'full') ? ['view=full'] : []),
    ...(minSeq === undefined ? [] : [`min_seq=${minSeq}`, 'wait=30s']),
  ];
  let code = EXIT_DONE;
  for (let i = 0; i < operands.length; i += IDS_PER_REQUEST) {
    const ids = operands.slice(i, i + IDS_PER_REQUEST).map((id) => `id=${encodeURIComponent(id)}`);
    const { text } = await client.ask({ path: `/api/v1/products?${[...ids, ...rest].join('&')}` });
    const { products, missing } = JSON.parse(text) as Found;
    for (const product of products) process.stdout.write(`${JSON.stringify(product)}\n`);
    for (const id of missing) {
      process.stderr.write(`product-service: there is no product ${JSON.stringify(id)}\n`);
      code = EXIT_PARTIAL;
    }
  }
  client.close();
  return code;
}
