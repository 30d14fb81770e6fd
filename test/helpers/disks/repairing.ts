/** A repair as a test wants it: checked for what holds for every one, and served by the service. */
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { Test } from 'tap';
import type { RepairReport } from '../../../src/maintenance/repair-report.ts';
import { ApiClient } from '../clients/api-client.ts';
import type { ProductModel } from '../models/product-model.ts';
import { runCommand } from '../processes/run-command.ts';
import { startReadyService } from '../processes/service-in-process.ts';
import type { BuiltData } from './built-data.ts';
import { folderState } from './folder-state.ts';

export interface Repaired {
  readonly code: number;
  readonly text: string;
  readonly to: string;
  readonly report: RepairReport;
}

/** Repairs and checks what holds for every repair. */
export function repair(t: Test, data: BuiltData): Repaired {
  const to = `${data.root}-repaired`;
  const before = folderState(data.root);
  const { code, text } = runCommand('repair', data.root, '--to', to);
  t.strictSame(folderState(data.root), before, 'the original is untouched');
  const report: RepairReport = JSON.parse(readFileSync(join(to, 'repair-report.json'), 'utf8'));
  t.equal(code, report.isComplete ? 0 : 3);
  t.equal(runCommand('verify', to).code, 0, 'the copy is whole');
  return { code, text, to, report };
}

/** Starts the real service on the copy, and compares every product with the model. */
export async function serves(
  t: Test,
  to: string,
  model: ProductModel,
  nextSeq: number,
): Promise<void> {
  const { service, port } = await startReadyService(t, { DATA_DIR: to });
  const client = new ApiClient(port);
  try {
    t.equal(service.path.store.size, model.products.size, 'no product more, none less');
    for (const [id, { seq, ...fields }] of model.products) {
      const [price, stock] = [fields.price, fields.stock].map((value) =>
        Number.isNaN(value) ? null : value,
      );
      const isListed = price !== null || stock !== null;
      const expected = isListed ? { id, price, stock, seq } : undefined;
      t.strictSame(await client.product(id), expected);
    }
    const { text } = await client.post({ product_id: 'new', price: 1, stock: 1 });
    t.match(JSON.parse(text), { seq: nextSeq }, 'and goes on numbering where the report says');
  } finally {
    client.close();
    await service.stop();
  }
}

/** Changes one byte. */
export function damage(path: string, at: number): void {
  const bytes = readFileSync(path);
  bytes[at] = bytes[at] ^ 0xff;
  writeFileSync(path, bytes);
}
