/** `top` in a real terminal: a screen of its own that is drawn over and over, and left as it was. */
import { spawn } from 'node:child_process';
import { join } from 'node:path';
import t from 'tap';
import { bounded, polled } from '../helpers/bounded.ts';
import { tempDir } from '../helpers/disks/temp-dir.ts';
import { commandEnv, MAIN } from '../helpers/processes/command-line.ts';
import { startReadyService } from '../helpers/processes/service-in-process.ts';

const WAIT_MS_MAX = 60_000;
const ENTER_SCREEN = '\x1b[?1049h\x1b[?25l';
const LEAVE_SCREEN = '\x1b[?25h\x1b[?1049l';

for (const [name, key] of [
  ['q', 'q'],
  ['Ctrl-C', '\x03'],
] as const) {
  t.test(`${name} ends it`, async (t) => {
    const cwd = tempDir(t);
    const { port } = await startReadyService(t, { DATA_DIR: join(cwd, 'data') });
    const command = `'${process.execPath}' '${MAIN}' top --interval 100ms; echo "ended $?"`;
    const env = commandEnv({ port, env: { TERM: 'xterm-256color' } });
    const pairs = Object.entries(env).map(([variable, value]) => `${variable}=${value}`);
    const args = ['-i', ...pairs, 'script', '-qfec', command, '/dev/null'];
    const child = spawn('/usr/bin/env', args, { cwd, stdio: 'pipe' });
    t.teardown(() => child.kill('SIGKILL'));
    let shown = '';
    child.stdout.setEncoding('utf8').on('data', (text: string) => {
      shown += text;
    });
    const end = new Promise((resolve) => child.on('close', resolve));
    const screens = () => shown.split('events/s').length - 1;
    await polled(() => (screens() >= 2 ? true : undefined), WAIT_MS_MAX, 'two looks');
    child.stdin.write(key);
    await bounded(end, WAIT_MS_MAX, 'the end');
    t.ok(shown.startsWith(ENTER_SCREEN));
    t.ok(shown.includes(`\x1b[1mproduct-service at http://127.0.0.1:${port}`), 'bold');
    t.match(shown.slice(shown.lastIndexOf(LEAVE_SCREEN) + LEAVE_SCREEN.length), /^ended 0\r\n/);
    t.equal(shown.split(LEAVE_SCREEN).length, 2, 'left once');
  });
}
