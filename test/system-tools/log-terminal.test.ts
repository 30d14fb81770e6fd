/** A terminal that takes nothing more (Ctrl-S, or what shows it has stopped): lines are kept, nothing waits. */
import { spawn } from 'node:child_process';
import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import t from 'tap';
import { polled } from '../helpers/bounded.ts';
import { tempDir } from '../helpers/disks/temp-dir.ts';
import { UnreadPipe } from '../helpers/processes/unread-pipe.ts';

const BURST = fileURLToPath(new URL('../helpers/processes/log-burst.ts', import.meta.url));
const WAIT_MS_MAX = 60_000;

t.test('a terminal that takes nothing more', async (t) => {
  const cwd = tempDir(t);
  const pipe = new UnreadPipe(t);
  pipe.fill();
  // `script` gives the program a terminal, and shows that in the pipe, which is full.
  const node = `'${process.execPath}' '${BURST}' 3000 1000 fatal 2> stderr`;
  const child = spawn('script', ['-qfec', `${node}; echo $? > code`, '/dev/null'], {
    cwd,
    stdio: ['ignore', pipe.childEnd, 'inherit'],
  });
  t.teardown(() => child.kill('SIGKILL'));
  const code = () => {
    const path = join(cwd, 'code');
    return existsSync(path) && readFileSync(path, 'utf8') !== ''
      ? readFileSync(path, 'utf8')
      : undefined;
  };
  t.equal(await polled(code, WAIT_MS_MAX, 'the program to end'), '0\n');
  const stderr = readFileSync(join(cwd, 'stderr'), 'utf8');
  t.match(
    stderr,
    /^\{"level":60,.*"msg":"the end"\}\nproduct-service: done\n$/,
    'the fatal line is out',
  );
});
