/**
 * Writes what is generated from the configuration's schema: the table in README.md and
 * `.env.example`. Run by `npm run docs:config` after a change of the schema.
 */
import { readFileSync, writeFileSync } from 'node:fs';
import { dotEnvExample, withConfigTable } from '../src/config/reference.ts';

const readme = new URL('../README.md', import.meta.url);
writeFileSync(readme, withConfigTable(readFileSync(readme, 'utf8')));
writeFileSync(new URL('../.env.example', import.meta.url), dotEnvExample());
