/** What the service is made of: listed, licensed, without install scripts, and the same in its SBOM. */
import { execFileSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import t from 'tap';
import {
  dependenciesPage,
  type Lock,
  type Manifest,
  runtimePackages,
  withInstallScripts,
} from '../../.ci/dependency-docs.ts';

const REPOSITORY = new URL('../../', import.meta.url);
const text = (name: string) => readFileSync(new URL(name, REPOSITORY), 'utf8');
const manifest = JSON.parse(text('package.json')) as Manifest;
const lock = JSON.parse(text('package-lock.json')) as Lock;

/** Those that ask for no more than to be named. */
const LICENSES = [
  '0BSD',
  'Apache-2.0',
  'BlueOak-1.0.0',
  'BSD-2-Clause',
  'BSD-3-Clause',
  'ISC',
  'MIT',
  // Public domain.
  'Unlicense',
];

interface Sbom {
  readonly bomFormat: string;
  readonly components: readonly {
    readonly group?: string;
    readonly name: string;
    readonly version: string;
    readonly licenses?: readonly unknown[];
  }[];
}

t.test('docs/dependencies.md is made from package.json and the lock', (t) => {
  t.equal(
    text('docs/dependencies.md'),
    dependenciesPage(manifest, lock),
    'run npm run docs:dependencies',
  );
  t.end();
});

t.test(
  'whatever runs with the service has a licence that asks for no more than to be named',
  (t) => {
    const packages = runtimePackages(lock);
    t.ok(packages.length > Object.keys(manifest.dependencies).length);
    for (const { name, license } of packages)
      t.ok(LICENSES.includes(license), `${name}: ${license}`);
    t.end();
  },
);

t.test('only node runs a script when it is installed, and that is said', (t) => {
  const allowed = Object.entries(manifest.allowScripts).filter(([, isAllowed]) => isAllowed);
  t.strictSame(allowed, [['node', true]]);
  const decided = Object.keys(manifest.allowScripts).sort();
  t.strictSame([...new Set(withInstallScripts(lock))].sort(), decided, 'each has a decision');
  const runtime = runtimePackages(lock).map(({ name }) => name);
  t.strictSame(
    withInstallScripts(lock).filter((name) => runtime.includes(name)),
    [],
  );
  t.end();
});

t.test('the SBOM has just what runs with the service', (t) => {
  const cwd = fileURLToPath(REPOSITORY);
  const sbom: Sbom = JSON.parse(
    execFileSync('npm', ['run', '--silent', 'sbom'], { cwd, encoding: 'utf8', maxBuffer: 1 << 26 }),
  );
  t.equal(sbom.bomFormat, 'CycloneDX');
  const listed = sbom.components.map(({ group, name, version }) =>
    group === undefined ? `${name}@${version}` : `${group}/${name}@${version}`,
  );
  const locked = runtimePackages(lock).map(({ name, version }) => `${name}@${version}`);
  t.strictSame([...new Set(listed)].sort(), locked.sort());
  for (const { name, licenses = [] } of sbom.components) t.ok(licenses.length > 0, name);
  t.end();
});
