/**
 * The configuration as a user reads it: `--help`, the table of docs/configuration.md and `.env.example`, all made
 * from the schema. Pure, any thread. `npm run docs:config` writes the two files; a test holds them.
 */
import { allowedValues } from './allowed.ts';
import { CONFIG_KEYS, variableOf } from './schema.ts';
import { fileVariableOf, SECRET_VARIABLES } from './secret-files.ts';

const TABLE_BEGIN = '<!-- config:begin -->';
const TABLE_END = '<!-- config:end -->';

const UNITS =
  'Sizes are in B, KB, MB, GB or TB (1024-based; KiB, MiB, GiB and TiB mean the same; a plain number is bytes). ' +
  'Durations are in ms, s, m or h. Both are whole numbers.';

const PRECEDENCE =
  'Variables are read from the environment, then from the file .env in the working directory. ' +
  'One that is set but empty is refused (but for those without a default, which are not set then), and so is an unknown name in .env. ' +
  'There, a value with blanks, # or $ stands in single quotes; nothing in it is replaced. ' +
  `A secret may stand in a file: ${SECRET_VARIABLES.map(fileVariableOf).join(' or ')} is the path of one.`;

/** A command as the help shows it. */
export interface CommandUsage {
  readonly usage: string;
  /** One sentence, without a full stop at the end. */
  readonly description: string;
}

/**
 * Returns the text that `--help` prints: usage, options, commands and every variable; ends with a
 * newline.
 */
export function helpText(commands: readonly CommandUsage[] = []): string {
  const nameWidth = Math.max(...CONFIG_KEYS.map((key) => variableOf(key).env.length));
  const defaultWidth = Math.max(...CONFIG_KEYS.map((key) => variableOf(key).defaultText.length));
  const rows = CONFIG_KEYS.flatMap((key) => {
    const { env, defaultText, description } = variableOf(key);
    const columns = `${env.padEnd(nameWidth)}  ${defaultText.padEnd(defaultWidth)}  ${allowedValues(key)}`;
    return [`  ${columns}`, ...wrap(description, 88).map((line) => `      ${line}`)];
  });
  return [
    'Usage: product-service [--help | --version | --check-config | COMMAND]',
    '       (in a clone: npx product-service, or node src/main.ts)',
    '',
    '  --help          print this text; behind a COMMAND, what that takes, with examples',
    "  --version       print the version, Node's and those of the data formats",
    '  --check-config  check the configuration, and that it fits this machine, and exit',
    '',
    ...commands.flatMap(({ usage, description }) => [
      `  ${usage}`,
      ...wrap(description, 88).map((line) => `      ${line}`),
    ]),
    ...(commands.length === 0 ? [] : ['      (docs/cli.md, docs/durability.md)', '']),
    ...wrap(PRECEDENCE, 94),
    ...wrap(UNITS, 94),
    '',
    `  ${'VARIABLE'.padEnd(nameWidth)}  ${'DEFAULT'.padEnd(defaultWidth)}  ALLOWED`,
    ...rows,
    '',
  ].join('\n');
}

/** Returns the same table in Markdown, without a newline at the end. */
export function configTableMarkdown(): string {
  const rows = CONFIG_KEYS.map((key) => {
    const { env, defaultText, description } = variableOf(key);
    const shownDefault = defaultText === '' ? 'not set' : `\`${defaultText}\``;
    return `| \`${env}\` | ${shownDefault} | ${allowedValues(key)} | ${description} |`;
  });
  return [
    '| variable | default | allowed | meaning |',
    '| --- | --- | --- | --- |',
    ...rows,
    '',
    `${PRECEDENCE} ${UNITS}`,
  ].join('\n');
}

/**
 * Returns `page` with the table put anew between its markers.
 * @throws if the two markers are not there, once each and in order.
 */
export function withConfigTable(page: string): string {
  const [before, afterBegin, ...moreBegins] = page.split(TABLE_BEGIN);
  const [, after, ...moreEnds] = (afterBegin ?? '').split(TABLE_END);
  if (after === undefined || moreBegins.length > 0 || moreEnds.length > 0) {
    throw new Error(`expected ${TABLE_BEGIN} and ${TABLE_END} once each, in this order`);
  }
  return `${before}${TABLE_BEGIN}\n${configTableMarkdown()}\n${TABLE_END}${after}`;
}

/** Returns `.env.example`: every variable as a comment with its default; ends with a newline. */
export function dotEnvExample(): string {
  const blocks = CONFIG_KEYS.map((key) => {
    const { env, defaultText, description } = variableOf(key);
    return [
      ...wrap(`${description}.`, 94).map((line) => `# ${line}`),
      `# Allowed: ${allowedValues(key)}`,
      `#${env}=${defaultText}`,
    ].join('\n');
  });
  const head = [
    'Copy this file to .env and remove the # before what you change.',
    ...wrap(PRECEDENCE, 94),
    ...wrap(UNITS, 94),
  ];
  return `${head.map((line) => `# ${line}`).join('\n')}\n\n${blocks.join('\n\n')}\n`;
}

/** Breaks `text` at spaces into lines of at most `width` characters. */
function wrap(text: string, width: number): string[] {
  const lines: string[] = [];
  let line = '';
  for (const word of text.split(' ')) {
    if (line !== '' && line.length + 1 + word.length > width) {
      lines.push(line);
      line = word;
    } else {
      line = line === '' ? word : `${line} ${word}`;
    }
  }
  return [...lines, line];
}
