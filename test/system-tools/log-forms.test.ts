/** The log is for people in a terminal, and JSON anywhere else. */
import t, { type Test } from 'tap';
import { tempDir } from '../helpers/disks/temp-dir.ts';
import { MAIN } from '../helpers/processes/command-line.ts';
import { ServiceProcess } from '../helpers/processes/service-process.ts';
import { startInTerminal } from '../helpers/processes/terminal.ts';

const ENV = { PORT: '0', MAX_MEMORY_USAGE: '16MB', WORKERS: '1' };
const READY = /ready on http:\/\/[^\s"]*:\d+/;

/** Runs the service in a terminal until it is ready, and stops it by Ctrl-C; what was shown. */
async function shownIn(t: Test, env: Readonly<Record<string, string>>): Promise<string> {
  const command = `'${process.execPath}' '${MAIN}'`;
  const terminal = startInTerminal(t, command, { cwd: tempDir(t), env: { ...ENV, ...env } });
  await terminal.until((text) => READY.exec(text)?.[0], 'the service to be ready');
  terminal.type('\x03');
  await terminal.end();
  const shown = terminal.shown();
  t.match(shown, / stopped\r\n$/);
  return shown;
}

t.test('in a terminal: a time, a level in colour and a message', async (t) => {
  const shown = await shownIn(t, { TERM: 'xterm' });
  const marked = shown.replaceAll('\x1b[', '<').replaceAll(/<(\d+)m/g, '<$1>');
  t.match(marked, /^<2>\d\d:\d\d:\d\d\.\d{3}<22> <32>info <39> ready on http/m);
  t.notMatch(shown, /^\{/m, 'no JSON');
});

t.test('without colours where that is asked for', async (t) => {
  for (const env of [{ TERM: 'xterm', NO_COLOR: '1' }, { TERM: 'dumb' }]) {
    const shown = await shownIn(t, env);
    t.notMatch(shown, '\x1b');
    t.match(shown, /^\d\d:\d\d:\d\d\.\d{3} info {2}ready on http/m);
  }
});

t.test('anywhere else: a line of JSON each', async (t) => {
  const service = await ServiceProcess.start(t, { cwd: tempDir(t), env: ENV });
  t.strictSame(await service.stop(), { code: 0, signal: null });
  const lines = service.stdout.trimEnd().split('\n');
  t.ok(lines.length > 3);
  for (const line of lines) t.match(JSON.parse(line), { level: Number, time: Number, msg: String });
});
