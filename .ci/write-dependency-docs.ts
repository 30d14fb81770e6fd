/** Writes docs/dependencies.md. Run by `npm run docs:dependencies` after a change of the dependencies. */
import { readFileSync, writeFileSync } from 'node:fs';
import { dependenciesPage } from './dependency-docs.ts';

const read = (name: string) =>
  JSON.parse(readFileSync(new URL(`../${name}`, import.meta.url), 'utf8'));
writeFileSync(
  new URL('../docs/dependencies.md', import.meta.url),
  dependenciesPage(read('package.json'), read('package-lock.json')),
);
