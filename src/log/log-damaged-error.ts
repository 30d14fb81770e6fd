/** The one error of a start that does not believe its files. Any thread. */
import { isOtherVersion } from './format.ts';

/**
 * The log is not as this program left it, where no crash can have changed it. The message names file,
 * offset and way out.
 */
export class LogDamagedError extends Error {
  override readonly name = 'LogDamagedError';
  constructor(path: string, offsetBytes: number, reason: string) {
    super(
      isOtherVersion(reason)
        ? `${path} can't be read: ${reason}; nothing was changed: start the version that wrote ` +
            'DATA_DIR; if that is this one, the file is damaged (docs/durability.md)'
        : `${path} is damaged at byte ${offsetBytes}: ${reason}; nothing was changed: ` +
            '`npm run verify` lists all damage; restore DATA_DIR from a backup, or see ' +
            '`npm run repair` for what can be kept (docs/durability.md)',
    );
  }
}
