/**
 * An importer that never rests, in a process of its own: sends the same batch again and again until
 * its parent says stop, then reports how many events were taken and in what time.
 *   fork('import-client.ts', [url, products, passes])
 */
import { batchProducts, passBlocks } from './batch-body.ts';
import { uploadBatch } from './batch-upload.ts';

const [url = '', products, passes] = process.argv.slice(2);
const ids = batchProducts(Number(products));
const body = Array.from({ length: Number(passes) }, (_, pass) =>
  passBlocks(ids, pass, pass),
).flat();
let isStopped = false;
process.once('message', () => {
  isStopped = true;
});
process.send?.('ready');
let events = 0;
const startMs = performance.now();
while (!isStopped) events += (await uploadBatch(url, '?on_error=continue', body)).accepted;
process.send?.({ events, seconds: (performance.now() - startMs) / 1000 }, () => process.exit(0));
