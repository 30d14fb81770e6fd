/** Which version of the program this is, and of what it reads and writes. Main thread. */
import { readFileSync } from 'node:fs';
import { PART_FORMAT } from '../checkpoint/part-format.ts';
import { FORMAT_VERSION } from '../log/format.ts';

const PACKAGE = new URL('../../package.json', import.meta.url);

export const VERSION: string = JSON.parse(readFileSync(PACKAGE, 'utf8')).version;
export const FORMATS = { log: FORMAT_VERSION, checkpoint: PART_FORMAT } as const;

/** What `--version` prints; ends with a newline. */
export function versionText(): string {
  return (
    `product-service ${VERSION} (Node ${process.version}; ` +
    `data formats: log ${FORMATS.log}, checkpoint ${FORMATS.checkpoint})\n`
  );
}
