/** Writes docs/cli-reference.md from the table of commands. Run by `npm run docs:cli` after a change of it. */
import { writeFileSync } from 'node:fs';
import { referencePage } from '../src/cli/command-help.ts';

writeFileSync(new URL('../docs/cli-reference.md', import.meta.url), referencePage());
