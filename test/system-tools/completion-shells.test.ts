/**
 * The completion carried out by the shells themselves: bash and zsh at a pseudo-terminal, where Tab is pressed
 * and the line is then run; fish by the command by which it says what it offers.
 */
import { execFileSync } from 'node:child_process';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import t, { type Test } from 'tap';
import { tempDir } from '../helpers/disks/temp-dir.ts';
import { commandEnv, MAIN } from '../helpers/processes/command-line.ts';
import { startInTerminal } from '../helpers/processes/terminal.ts';

/** In the folder where the lines are typed. */
const FILE = 'prices.csv';
/** What is typed before Tab, and the line that it becomes. */
const LINES = [
  ['exp', 'export'],
  ['export --fo', 'export --format'],
  ['export --format n', 'export --format ndjson'],
  ['completion z', 'completion zsh'],
  ['import pri', `import ${FILE}`],
] as const;

/** Starts it with the completion loaded, and a function in the command's place that shows its words. */
const SHELLS = {
  bash: { command: 'bash --noprofile --norc -i', shows: 'product-service() { echo "ran[$*]"; }' },
  zsh: { command: 'zsh -f -i', shows: 'product-service() { echo "ran[$*]"; }' },
} as const;

/** A folder with what `completion SHELL` prints, and a file to complete. */
function folderWith(t: Test, shell: string): string {
  const folder = tempDir(t);
  const args = [MAIN, 'completion', shell];
  const script = execFileSync(process.execPath, args, { encoding: 'utf8' });
  writeFileSync(join(folder, 'completion'), script);
  writeFileSync(join(folder, FILE), '');
  return folder;
}

for (const [shell, { command, shows }] of Object.entries(SHELLS)) {
  t.test(`${shell} completes at Tab`, async (t) => {
    const cwd = folderWith(t, shell);
    const env = { TERM: 'dumb', HOME: cwd, HISTFILE: '/dev/null' };
    const terminal = startInTerminal(t, command, { cwd, env });
    terminal.type(`${shows}; . ./completion; echo loaded$((1 + 1))\n`);
    await terminal.until((shown) => (shown.includes('loaded2') ? true : undefined), shell);
    for (const [typed, whole] of LINES) {
      const from = terminal.shown().length;
      terminal.type(`product-service ${typed}\t\n`);
      // What is typed is shown, too: only what it ran has brackets with no quote before.
      const ran = (shown: string) => /(?<!")ran\[(.*?)\]/.exec(shown.slice(from))?.[1]?.trim();
      t.equal(await terminal.until(ran, `${shell} to run ${typed}`), whole, `${typed} and Tab`);
    }
    terminal.type('exit\n');
    await terminal.end();
  });
}

t.test('fish offers the same', async (t) => {
  const cwd = folderWith(t, 'fish');
  const env = { ...commandEnv({}), HOME: cwd };
  const offered = (line: string) => {
    const command = `source completion; complete -C 'product-service ${line}'`;
    const text = execFileSync('fish', ['--no-config', '-c', command], {
      cwd,
      env,
      encoding: 'utf8',
    });
    return text
      .trimEnd()
      .split('\n')
      .map((each) => each.split('\t')[0]);
  };
  for (const [typed, whole] of LINES) {
    t.strictSame(offered(typed), [whole.split(' ').at(-1)], `${typed} and Tab`);
  }
  t.ok(offered('').includes('dead-letters'), 'all commands');
  t.notOk(offered('export ').includes('export'), 'one command is enough');
});
