/** `top` in a real terminal: a screen of its own that is drawn over and over, and left as it was. */
import { join } from 'node:path';
import t from 'tap';
import { tempDir } from '../helpers/disks/temp-dir.ts';
import { MAIN } from '../helpers/processes/command-line.ts';
import { startReadyService } from '../helpers/processes/service-in-process.ts';
import { startInTerminal } from '../helpers/processes/terminal.ts';

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
    const env = { TERM: 'xterm-256color' };
    const terminal = startInTerminal(t, command, { cwd, port, env });
    const looks = (text: string) => text.split('events/s').length - 1;
    await terminal.until((text) => (looks(text) >= 2 ? true : undefined), 'two looks');
    terminal.type(key);
    await terminal.end();
    const shown = terminal.shown();
    t.ok(shown.startsWith(ENTER_SCREEN));
    t.ok(shown.includes(`\x1b[1mproduct-service at http://127.0.0.1:${port}`), 'bold');
    t.match(shown.slice(shown.lastIndexOf(LEAVE_SCREEN) + LEAVE_SCREEN.length), /^ended 0\r\n/);
    t.equal(shown.split(LEAVE_SCREEN).length, 2, 'left once');
  });
}
