/** An import in a real terminal: the bar, its colours, Ctrl-C; and nothing of them where there is none. */
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { stripVTControlCharacters } from 'node:util';
import t, { type Test } from 'tap';
import { polled } from '../helpers/bounded.ts';
import { BatchProxy } from '../helpers/clients/batch-proxy.ts';
import { tempDir } from '../helpers/disks/temp-dir.ts';
import { MAIN, runCommandLine } from '../helpers/processes/command-line.ts';
import { startReadyService } from '../helpers/processes/service-in-process.ts';
import { startInTerminal } from '../helpers/processes/terminal.ts';

const WAIT_MS_MAX = 60_000;
const ROWS = 150_000;
const CLEAR_LINE = '\r\x1b[K';
const CYAN = '\x1b[36m';

async function setup(t: Test) {
  const cwd = tempDir(t);
  const { port } = await startReadyService(t, { DATA_DIR: join(cwd, 'data') });
  const proxy = await BatchProxy.start(t, port);
  const rows = Array.from({ length: ROWS }, (_, i) => `p${i % 100},${i % 977}.25`);
  writeFileSync(join(cwd, 'feed.csv'), ['sku,price', ...rows].join('\n'));
  return { cwd, proxy };
}

/** The import under `script`, which gives it a terminal of 100 columns; what it shows comes as text. */
function inTerminal(t: Test, cwd: string, port: number, env: Readonly<Record<string, string>>) {
  const command = `stty cols 100; '${process.execPath}' '${MAIN}' import feed.csv; echo "ended $?"`;
  const terms = { HOME: cwd, TERM: 'xterm-256color', ...env };
  return startInTerminal(t, command, { cwd, port, env: terms });
}

t.test('a bar that is drawn over and over, and a summary in the end', async (t) => {
  const { cwd, proxy } = await setup(t);
  proxy.fate = (batch) => (batch === 2 ? { status: 503, retryAfter: '1' } : 'pass');
  const terminal = inTerminal(t, cwd, proxy.port, {});
  await terminal.end();
  const shown = terminal.shown();
  const bars = stripVTControlCharacters(shown);
  t.match(bars, /▕[█▏▎▍▌▋▊▉ ]{24}▏ {2}[ \d]+% {2}\d+:\d\d left {2}[\d,]+ events {2}[\d,]+\/s/);
  t.ok(shown.includes(`${CYAN}▕`));
  t.ok(shown.includes(CLEAR_LINE));
  t.match(shown, /waiting: 503[^\r\n]*\r\n/);
  t.match(shown, /feed\.csv: 150,000 taken, 0 refused; \d+\.\d s\r\nended 0\r\n/);
});

t.test('NO_COLOR has the bar without colours', async (t) => {
  const { cwd, proxy } = await setup(t);
  proxy.fate = (batch) => (batch === 2 ? { status: 503, retryAfter: '1' } : 'pass');
  const terminal = inTerminal(t, cwd, proxy.port, { NO_COLOR: '1' });
  await terminal.end();
  t.match(terminal.shown(), /▕[█▏▎▍▌▋▊▉ ]{24}▏ /);
  t.notOk(terminal.shown().includes(CYAN));
});

t.test('Ctrl-C says that it can be gone on from, and the same command does', async (t) => {
  const { cwd, proxy } = await setup(t);
  proxy.fate = (batch) => (batch === 2 ? 'hold' : 'pass');
  const first = inTerminal(t, cwd, proxy.port, {});
  await polled(() => (proxy.keys.length >= 2 ? true : undefined), WAIT_MS_MAX, 'two batches');
  first.type('\x03');
  await first.end();
  t.match(first.shown(), /interrupted; the same command goes on from here\r\n/);
  const second = inTerminal(t, cwd, proxy.port, {});
  await second.end();
  t.match(second.shown(), /going on where the try of .* ended, 1 batch on\r\n/);
  t.match(second.shown(), /150,000 taken, 0 refused.*\r\nended 0\r\n/);
});

t.test('without a terminal there are plain lines', async (t) => {
  const { cwd, proxy } = await setup(t);
  const { code, stdout, stderr } = await runCommandLine(t, ['import', 'feed.csv'], {
    cwd,
    port: proxy.port,
    env: { HOME: cwd, FORCE_COLOR: '' },
  });
  t.equal(code, 0);
  t.notOk(`${stdout}${stderr}`.includes('\x1b'));
});
