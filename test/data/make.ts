/**
 * Makes the two data files beside it from the full year of retail events: the first EVENTS of them,
 * and the state after those, by an independent merge into a plain Map. Run by hand:
 *   node test/data/make.ts <retail-events.ndjson.gz>
 * Its output is the same, byte for byte, for the same input.
 */
import assert from 'node:assert/strict';
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { gunzipSync, gzipSync } from 'node:zlib';

const EVENTS = 20_000;

interface Event {
  readonly product_id: string;
  readonly price: number;
  readonly stock: number;
  readonly occurred_at: string;
}

const source = process.argv[2];
assert.ok(source, 'usage: node test/data/make.ts <retail-events.ndjson.gz>');
const lines = gunzipSync(readFileSync(source)).toString('utf8').split('\n');

const kept: string[] = [];
const newest = new Map<string, Event & { readonly atMs: number }>();
for (const line of lines) {
  if (line === '' || kept.length === EVENTS) break;
  const event: Event = JSON.parse(line);
  // An accountant's correction, not a price: a service must refuse it (two in the full year).
  if (event.price < 0) continue;
  kept.push(line);
  const atMs = Date.parse(event.occurred_at);
  assert.ok(!Number.isNaN(atMs), line);
  const before = newest.get(event.product_id);
  // Equal times would make the result depend on the order of delivery.
  assert.notEqual(atMs, before?.atMs, line);
  if (before === undefined || atMs > before.atMs) newest.set(event.product_id, { ...event, atMs });
}
assert.equal(kept.length, EVENTS);

const states = [...newest.values()]
  .sort((a, b) => (a.product_id < b.product_id ? -1 : 1))
  .map(({ product_id: id, price, stock }) => JSON.stringify({ id, price, stock }));

write(`retail-${EVENTS}-events.ndjson.gz`, kept);
write(`retail-${EVENTS}-final.ndjson.gz`, states);

function write(name: string, content: readonly string[]): void {
  const bytes = gzipSync(`${content.join('\n')}\n`, { level: 9 });
  writeFileSync(join(import.meta.dirname, name), bytes);
  console.log(`${name}: ${content.length} lines, ${bytes.length} bytes`);
}
