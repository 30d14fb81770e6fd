/** Processes are found through their parents, and ended ones are not taken for running. */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import t from 'tap';
import { descendantsOf, isRunning } from '../../.ci/process-tree.ts';
import { polled } from '../helpers/bounded.ts';

const START_MS_MAX = 60_000;

t.test('children of children are found with their commands, parents first', async (t) => {
  // The shell stays, as it has a second command to run; `cat` waits for its standard input.
  const shell = spawn('/bin/sh', ['-c', 'echo ready; cat -; exit 7'], { stdio: 'pipe' });
  t.teardown(() => shell.kill('SIGKILL'));
  await once(shell.stdout, 'data');
  const shellPid = shell.pid ?? 0;
  const below = await polled(
    () => {
      const found = descendantsOf(shellPid);
      return found[0]?.command[0] === 'cat' ? found : undefined;
    },
    START_MS_MAX,
    'cat to run',
  );
  t.match(below, [{ command: ['cat', '-'] }]);
  t.same(
    descendantsOf(process.pid).map(({ pid }) => pid),
    [shellPid, below[0].pid],
  );
  t.ok(isRunning(shellPid) && isRunning(below[0].pid));

  shell.stdin.end();
  t.same(await once(shell, 'exit'), [7, null]);
  t.notOk(isRunning(shellPid) || isRunning(below[0].pid));
  t.same(descendantsOf(shellPid), []);
});
