/** The completion as bash itself carries it out; of the other shells, what stands in their scripts. */
import { execFileSync, spawnSync } from 'node:child_process';
import t from 'tap';
import { COMMANDS } from '../../src/cli/commands.ts';
import { run } from '../../src/cli/completion.ts';

/** What `completion SHELL` prints. */
function scriptOf(shell: string): string {
  const main = new URL('../../src/main.ts', import.meta.url).pathname;
  return execFileSync(process.execPath, [main, 'completion', shell], { encoding: 'utf8' });
}

t.test('bash offers commands, options, values and files', (t) => {
  const script = scriptOf('bash');
  const offered = (...words: string[]) => {
    const line = words.map((word) => `'${word}'`).join(' ');
    const commands = `${script}\nCOMP_WORDS=(product-service ${line}); COMP_CWORD=${words.length}; _product_service; printf '%s\\n' "\${COMPREPLY[@]}"`;
    const { stdout, stderr } = spawnSync('bash', ['-c', commands], {
      encoding: 'utf8',
      cwd: new URL('../../docs/feeds/', import.meta.url).pathname,
    });
    t.equal(stderr, '');
    return stdout.trimEnd().split('\n');
  };
  t.strictSame(offered('ex'), ['export']);
  t.ok(COMMANDS.every(({ name }) => offered('').includes(name)));
  t.strictSame(offered('export', '--fo'), ['--format']);
  t.strictSame(offered('export', '--format', ''), ['ndjson', 'csv']);
  t.strictSame(offered('import', '--preset', 'bm'), ['bmecat-prices']);
  t.strictSame(offered('import', 'bme'), ['bmecat-prices.xml'], 'files');
  t.strictSame(offered('completion', 'f'), ['fish']);
  t.strictSame(offered('get', '--url', ''), [''], 'nothing where anything may stand');
  t.end();
});

t.test('zsh and fish have every command and option', async (t) => {
  t.match(scriptOf('zsh'), /bashcompinit\n[\s\S]*complete -o filenames -F _product_service/);
  const fish = scriptOf('fish');
  for (const { name, options } of COMMANDS) {
    t.match(fish, ` -a ${name} -d '`);
    for (const option of options) {
      t.match(
        fish,
        `'__fish_seen_subcommand_from ${name}' ${option.short ? `-s ${option.short} ` : ''}-l ${option.name}`,
      );
    }
  }
  const context = { values: {}, environment: {} };
  await t.rejects(run({ ...context, operands: ['bash', 'zsh'] }), /needs bash, zsh or fish/);
});
