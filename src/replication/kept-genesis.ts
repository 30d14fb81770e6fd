/** How the cluster was begun, kept in the data folder: `cluster.json`. Main thread, at start. */
import { existsSync, readFileSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { unusable } from '../log/data-dir.ts';
import type { FileSystem } from '../log/file-system.ts';
import { replaceFile } from '../log/replaced-file.ts';
import type { Genesis } from './cluster-settings.ts';
import { TAKEN_WHOLE } from './folder-names.ts';

/** In the data folder. */
export const GENESIS_FILE = 'cluster.json';

/** When it returns, a power loss changes nothing of it any more. */
export function keepGenesis(
  files: FileSystem,
  dataDir: string,
  name: string,
  genesis: Genesis,
): void {
  const bytes = Buffer.from(`${JSON.stringify({ name, genesis })}\n`);
  replaceFile(files, dataDir, GENESIS_FILE, bytes);
}

/**
 * `undefined` where the folder has none. Throws where it is of another cluster than `name`, or of one at all
 * though the instance is to be of none (`undefined`), and DataDirError where it can't be read.
 */
export function keptGenesis(dataDir: string, name: string | undefined): Genesis | undefined {
  let text: string;
  try {
    text = readFileSync(join(resolve(dataDir), GENESIS_FILE), 'utf8');
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ENOENT') throw unusable(resolve(dataDir), error);
    if (name === undefined && existsSync(join(resolve(dataDir), TAKEN_WHOLE))) {
      throw new Error(
        `the data of a cluster was just being moved into ${dataDir}: LOG=jetstream goes on with that`,
      );
    }
    return undefined;
  }
  const kept = JSON.parse(text) as { readonly name: string; readonly genesis: Genesis };
  if (kept.name === name) return kept.genesis;
  if (name === undefined) {
    throw new Error(
      `the data in ${dataDir} is of the cluster ${kept.name}: LOG=jetstream goes on with it; without it, another order of events would begin (remove cluster.json if that is meant)`,
    );
  }
  throw new Error(`the data in ${dataDir} is of the cluster ${kept.name}, not of ${name}`);
}
