/** A folder of a test's own, removed when the test is done. */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Test } from 'tap';

/** Makes an empty folder. Teardowns run last to first: make it before what uses it. */
export function tempDir(t: Test): string {
  const path = mkdtempSync(join(tmpdir(), 'product-service-test-'));
  t.teardown(() => rmSync(path, { recursive: true, force: true }));
  return path;
}
