/** What a sink of a service must have: every product of the store, as a row, in the order of ids. Tests only. */
import { ProductRows } from '../../src/sinks/product-rows.ts';
import type { ProductRow } from '../../src/sinks/sink.ts';
import { Shard } from '../../src/store/shard.ts';
import type { SharedMemory } from '../../src/threads/shared-memory.ts';

export function storeRows(memory: SharedMemory): ProductRow[] {
  const shards = memory.shards.map((buffer) => new Shard(buffer));
  const reader = new ProductRows(shards, memory.hashKey);
  const rows: ProductRow[] = [];
  for (const [s, shard] of shards.entries()) {
    const entries = shard.certainEntries;
    for (let entry = 0; entry < entries; entry++) {
      const row = reader.read(s, entry);
      if (row === 'busy') throw new Error('an entry is busy');
      if (row !== undefined) rows.push(row);
    }
  }
  return rows.sort((a, b) => (Buffer.compare(Buffer.from(a.id), Buffer.from(b.id)) < 0 ? -1 : 1));
}
