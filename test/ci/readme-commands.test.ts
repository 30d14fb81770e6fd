/** Which lines of a README are commands. */
import t from 'tap';
import { commandsOf, examplesOf } from '../../.ci/readme-commands.ts';

t.test('the lines of fenced shell blocks are commands, joined at backslashes', (t) => {
  const readme = [
    'curl not-in-a-block',
    '```sh',
    '# a comment',
    'make run   # starts',
    '',
    "curl -X POST localhost:8080/x -H 'a: b' \\",
    '     -d \'{"a":1}\'',
    '```',
    '```json',
    'curl in-another-language',
    '```',
    '```console',
    '$ make test',
    '```',
  ].join('\n');
  t.same(commandsOf(readme), [
    'make run   # starts',
    "curl -X POST localhost:8080/x -H 'a: b' -d '{\"a\":1}'",
    'make test',
  ]);
  t.same(commandsOf(''), []);
  t.end();
});

t.test('a curl command comes with the status that the comment behind it says', (t) => {
  const commands = ['make run   # starts', 'curl -i x/%23y   # 404 {"a":1} # b'];
  t.same(examplesOf(commands), [{ command: 'curl -i x/%23y', status: 404 }]);
  t.throws(() => examplesOf(['curl x   # fine']), /expected a status/);
  t.end();
});
