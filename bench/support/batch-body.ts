/**
 * Bodies of batches, made beforehand, and what they must lead to. One pass writes every product
 * once, in one random order, so a product's last value is known. Any thread; pure.
 */
import { Buffer } from 'node:buffer';
import { createRandom } from './random.ts';

const LINES_PER_BLOCK = 5000;

/** Ids of 12 bytes, which make lines of about 60. */
export function batchProducts(count: number): string[] {
  return Array.from({ length: count }, (_, i) => `SKU-${String(i).padStart(8, '0')}`);
}

/** What a product is set to by a pass. */
export function batchValue(product: number, pass: number): { price: number; stock: number } {
  return { price: ((product % 10_000) + pass * 100) / 100, stock: product + pass };
}

/** One pass over all products as NDJSON, in blocks of some hundred kilobytes. */
export function passBlocks(ids: readonly string[], pass: number, seed: number): Buffer[] {
  const random = createRandom(seed);
  const order = Int32Array.from(ids, (_, i) => i);
  for (let i = order.length - 1; i > 0; i--) {
    const j = random() % (i + 1);
    [order[i], order[j]] = [order[j], order[i]];
  }
  const blocks: Buffer[] = [];
  for (let from = 0; from < order.length; from += LINES_PER_BLOCK) {
    let text = '';
    for (const product of order.subarray(from, from + LINES_PER_BLOCK)) {
      const { price, stock } = batchValue(product, pass);
      text += `{"product_id":"${ids[product]}","price":${price.toFixed(2)},"stock":${stock}}\n`;
    }
    blocks.push(Buffer.from(text));
  }
  return blocks;
}
