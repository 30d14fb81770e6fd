/**
 * A process that writes events under keys and tells each answer at once, until it is killed:
 * `node keyed-process.ts <data folder> <first key> <last key> <key to repeat> …`. A line of its
 * output: `<key> <seq> <new|replayed>`. Its write path is the real one, without HTTP. Tests only.
 */
import { fingerprintKey } from '../../src/event/fingerprint.ts';
import { Pipeline } from '../helpers/threads/pipeline.ts';

const [dataDir = '', first, last, ...repeated] = process.argv.slice(2);
/** Keys that are begun and not answered at the most; the test counts on no more than 1,000. */
const OPEN_MAX = 900;
const pipeline = await Pipeline.start({ teardown: () => undefined }, { dataDir });

let open = 0;

async function send(n: number): Promise<void> {
  open++;
  const key = fingerprintKey('event', `key ${n}`);
  const event = { productId: `p${n % 50}`, price: n, stock: n, occurredAtMs: n };
  const { seq, isReplayed } = await pipeline.fateOf({ ...event, key });
  process.stdout.write(`${n} ${seq} ${isReplayed ? 'replayed' : 'new'}\n`);
  open--;
}

const sent = repeated.map((n) => send(Number(n)));
for (let n = Number(first); n <= Number(last); n++) {
  sent.push(send(n));
  while (open >= OPEN_MAX) await new Promise(setImmediate);
  if (n % 10 === 0) await new Promise(setImmediate);
}
await Promise.all(sent);
await pipeline.stop();
