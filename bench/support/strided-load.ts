/**
 * Events over any number of products whose outcome is plain arithmetic: event e writes product
 * e × STRIDE modulo the number of products. So each pass writes every product once, and what a product
 * must hold after any number of events is known without keeping anything. Any thread; pure.
 */

/** A prime that no number of products here has as a factor. */
const STRIDE = 15_485_863;

export function idOf(product: number): string {
  return `SKU-${String(product).padStart(8, '0')}`;
}

/** The product as GET shows it, if `event` wrote it last. */
export function stateAfter(event: number, product: number): string {
  return JSON.stringify({ id: idOf(product), ...valueAfter(event) });
}

/** The events `from` to before `from + count` as NDJSON. */
export function eventLines(products: number, from: number, count: number): string {
  let text = '';
  for (let e = from; e < from + count; e++) {
    // Below 2^53 for as many events as a bench sends: products are few enough.
    const product = ((e % products) * STRIDE) % products;
    const { price, stock } = valueAfter(e);
    text += `{"product_id":"${idOf(product)}","price":${price},"stock":${stock}}\n`;
  }
  return text;
}

/** The first event that writes `product`: its number times the inverse of STRIDE, by Euclid. */
export function firstEventOf(product: number, products: number): number {
  const n = BigInt(products);
  let [r0, r1, t0, t1] = [n, BigInt(STRIDE % products), 0n, 1n];
  while (r1 !== 0n) {
    const q = r0 / r1;
    [r0, r1] = [r1, r0 - q * r1];
    [t0, t1] = [t1, t0 - q * t1];
  }
  if (r0 !== 1n) throw new Error('STRIDE has a factor in common with the number of products');
  return Number((BigInt(product) * (((t0 % n) + n) % n)) % n);
}

function valueAfter(event: number): { price: number; stock: number } {
  return { price: (event % 100_000) / 4, stock: event };
}
