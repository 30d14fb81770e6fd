/**
 * Writes what is generated from the configuration's schema: the table in
 * docs/configuration.md and `.env.example`. Run by `npm run docs:config` after a change of the schema.
 */
import { readFileSync, writeFileSync } from 'node:fs';
import { dotEnvExample, withConfigTable } from '../src/config/reference.ts';

const page = new URL('../docs/configuration.md', import.meta.url);
writeFileSync(page, withConfigTable(readFileSync(page, 'utf8')));
writeFileSync(new URL('../.env.example', import.meta.url), dotEnvExample());
