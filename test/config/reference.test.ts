/** What users read about the configuration is what the schema says. */
import { readFileSync } from 'node:fs';
import t from 'tap';
import {
  configTableMarkdown,
  dotEnvExample,
  helpText,
  withConfigTable,
} from '../../src/config/reference.ts';
import { CONFIG_KEYS, variableOf } from '../../src/config/schema.ts';

const REWRITE = 'run npm run docs:config';

function repositoryFile(name: string): string {
  return readFileSync(new URL(`../../${name}`, import.meta.url), 'utf8');
}

t.test("docs/configuration.md's table is the schema's", (t) => {
  const page = repositoryFile('docs/configuration.md');
  t.equal(page, withConfigTable(page), REWRITE);
  t.end();
});

t.test('.env.example is made from the schema', (t) => {
  t.equal(repositoryFile('.env.example'), dotEnvExample(), REWRITE);
  t.end();
});

t.test('help, table and example name every variable with its default', (t) => {
  const help = helpText();
  const table = configTableMarkdown();
  const example = dotEnvExample();
  for (const key of CONFIG_KEYS) {
    const { env, defaultText, description } = variableOf(key);
    t.match(help, new RegExp(`^  ${env} +${escapeForRegExp(defaultText)} `, 'm'));
    const shownDefault = defaultText === '' ? 'not set' : `\`${defaultText}\``;
    t.match(table, `| \`${env}\` | ${shownDefault} | `);
    t.match(example, `\n#${env}=${defaultText}\n`);
    t.notMatch(description, /[|\n]|\.$/, `${env}: one sentence that fits into a table`);
  }
  for (const text of [help, table, example]) t.match(text, '1024-based');
  for (const option of ['--help', '--check-config']) t.match(help, option);
  t.end();
});

t.test('a table is put between the markers and nowhere else', (t) => {
  const readme = 'a\n<!-- config:begin -->\nold\n<!-- config:end -->\nb\n';
  const renewed = withConfigTable(readme);
  t.equal(renewed, `a\n<!-- config:begin -->\n${configTableMarkdown()}\n<!-- config:end -->\nb\n`);
  t.equal(withConfigTable(renewed), renewed);
  t.end();
});

t.test('missing, doubled or swapped markers are an error', (t) => {
  const begin = '<!-- config:begin -->';
  const end = '<!-- config:end -->';
  for (const readme of [
    '',
    begin,
    end,
    `${end}${begin}`,
    `${begin}${end}${end}`,
    `${begin}${begin}${end}`,
    `${begin}${end}${begin}`,
  ]) {
    t.throws(() => withConfigTable(readme), { message: /^expected <!-- config:begin -->/ }, readme);
  }
  t.end();
});

function escapeForRegExp(text: string): string {
  return text.replaceAll(/[.*+?^${}()|[\]\\]/g, '\\$&');
}
