/**
 * A client that writes at a steady rate, in a process of its own, until its parent says stop; then it tells
 * the seq of its last event.
 *   fork('steady-writer.ts', [url, products, eventsPerSecond])
 */
import { uploadBatch } from './batch-upload.ts';
import { createRandom } from './random.ts';

const SEED = 20_261_129;
const EVENTS_AT_A_TIME = 10;

const [url = '', products, perSecond] = process.argv.slice(2);
const everyMs = (1000 * EVENTS_AT_A_TIME) / Number(perSecond);
const word = createRandom(SEED);
const random = () => word() / 2 ** 32;
let isStopped = false;
process.once('message', () => {
  isStopped = true;
});
process.send?.('ready');
let lastSeq = 0;
let events = 0;
const startMs = performance.now();
for (let n = 0; !isStopped; n++) {
  const lines = Array.from({ length: EVENTS_AT_A_TIME }, () => {
    const id = `p${Math.floor(random() * Number(products))}`;
    const price = Math.round(random() * 10_000) / 100;
    return `{"product_id":"${id}","price":${price},"stock":${n}}\n`;
  });
  const answer = await uploadBatch(url, '?on_error=continue', [Buffer.from(lines.join(''))]);
  lastSeq = answer.lastSeq ?? lastSeq;
  events += answer.accepted;
  const waitMs = startMs + (n + 1) * everyMs - performance.now();
  if (waitMs > 0) await new Promise((resolve) => setTimeout(resolve, waitMs));
}
const seconds = (performance.now() - startMs) / 1000;
process.send?.({ lastSeq, perSecond: events / seconds }, () => process.exit(0));
