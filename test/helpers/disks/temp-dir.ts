/** A folder of a test's own, removed when the test is done, or cut off before its teardown. */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Test } from 'tap';

const left = new Set<string>();

process.once('exit', () => {
  for (const path of left) remove(path);
});

/** Makes an empty folder. Teardowns run last to first: make it before what uses it. */
export function tempDir(t: Test): string {
  const path = mkdtempSync(join(tmpdir(), 'product-service-test-'));
  left.add(path);
  t.teardown(() => remove(path));
  return path;
}

function remove(path: string): void {
  left.delete(path);
  rmSync(path, { recursive: true, force: true });
}
