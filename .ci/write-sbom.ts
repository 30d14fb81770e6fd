/**
 * Prints what runs with the service as a CycloneDX document, by `npm sbom`. Run by `npm run sbom`.
 *
 * Not by `npm sbom --omit=dev`: npm 11.19 then leaves out whatever a development tool uses as well (ajv, debug and
 * some twenty more here), although the service needs it. So npm is shown a project that has no such tools.
 */
import { execFileSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { withoutDevelopment } from './dependency-docs.ts';

const read = (name: string) =>
  JSON.parse(readFileSync(new URL(`../${name}`, import.meta.url), 'utf8'));

const { devDependencies: _, ...manifest } = read('package.json');
const scratch = mkdtempSync(join(tmpdir(), 'product-service-sbom-'));
try {
  // npm names the document after the folder.
  const folder = join(scratch, manifest.name);
  mkdirSync(folder);
  writeFileSync(join(folder, 'package.json'), JSON.stringify(manifest));
  const lock = JSON.stringify(withoutDevelopment(read('package-lock.json')));
  writeFileSync(join(folder, 'package-lock.json'), lock);
  const args = [
    'sbom',
    '--package-lock-only',
    '--sbom-format=cyclonedx',
    '--sbom-type=application',
  ];
  execFileSync('npm', args, { cwd: folder, stdio: ['ignore', 'inherit', 'inherit'] });
} finally {
  rmSync(scratch, { recursive: true, force: true });
}
