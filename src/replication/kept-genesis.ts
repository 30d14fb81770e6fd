/** How the cluster was begun, kept in the data folder: `cluster.json`. Main thread, at start. */
import { readFileSync, renameSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { Genesis } from './cluster-settings.ts';

const FILE = 'cluster.json';

export function keepGenesis(dataDir: string, name: string, genesis: Genesis): void {
  const path = join(dataDir, FILE);
  const text = `${JSON.stringify({ name, genesis })}\n`;
  writeFileSync(`${path}.tmp`, text, { flush: true });
  renameSync(`${path}.tmp`, path);
}

/** `undefined` where the folder has none. Throws where it is of another cluster. */
export function keptGenesis(dataDir: string, name: string): Genesis | undefined {
  let text: string;
  try {
    text = readFileSync(join(dataDir, FILE), 'utf8');
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return undefined;
    throw error;
  }
  const kept = JSON.parse(text) as { readonly name: string; readonly genesis: Genesis };
  if (kept.name === name) return kept.genesis;
  throw new Error(`the data in ${dataDir} is of the cluster ${kept.name}, not of ${name}`);
}
