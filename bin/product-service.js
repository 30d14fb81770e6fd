#!/usr/bin/env node
/**
 * The command: checks Node's version before it loads anything that an older one can't read, then runs the
 * program: from the sources in a checkout, from what `npm pack` made of them in an installed package.
 * Nothing newer than Node 12 in this file. Main thread.
 */
import { existsSync, readFileSync } from 'node:fs';

const own = JSON.parse(readFileSync(new URL('../package.json', import.meta.url), 'utf8'));
const wanted = own.engines.node.replace(/^>=/, '');

/** Whether version `a` is `b` or newer; both are three numbers with points between. */
function isAtLeast(a, b) {
  const [have, need] = [a, b].map((text) => text.split('.').map((part) => parseInt(part, 10)));
  for (let i = 0; i < need.length; i++) if (have[i] !== need[i]) return have[i] > need[i];
  return true;
}

if (isAtLeast(process.versions.node, wanted)) {
  const sources = new URL('../src/main.ts', import.meta.url);
  void import(
    existsSync(sources) ? sources.href : new URL('../dist/src/main.js', import.meta.url).href
  );
} else {
  process.stderr.write(
    `product-service: needs Node ${wanted} or newer, this is ${process.version}; see https://nodejs.org/en/download\n`,
  );
  process.exitCode = 2;
}
