/**
 * A process that logs `lines` numbered lines of `bytes` bytes at once, as the service does, and exits:
 * `node log-burst.ts <lines> <bytes> [fatal] [waitMs]`. With `fatal` one fatal line comes last. Says "done"
 * on standard error before it exits. Tests only.
 */
import { LogOutput } from '../../../src/process/log-output.ts';

const [lines, bytes, last, waitMs = '0'] = process.argv.slice(2);
const output = new LogOutput();
const logger = output.logger('info');
const filler = 'y'.repeat(Number(bytes));
for (let n = 0; n < Number(lines); n++) logger.info({ n, filler }, 'burst');
if (last === 'fatal') logger.fatal('the end');
output.say('done');
setTimeout(() => process.exit(0), Number(waitMs));
