/**
 * The help: of the program, of a command, and docs/cli-reference.md, which `npm run docs:cli` writes and a
 * test holds. All from the table. Main thread, pure.
 */
import { helpText } from '../config/reference.ts';
import type { CommandSpec, OptionSpec } from './command.ts';
import { COMMANDS, HELP_OPTION } from './commands.ts';

const TEXT_CHARS_MAX = 76;

/** What `--help` prints: commands, and the service's variables. */
export function programHelp(): string {
  return helpText(
    COMMANDS.map((command) => ({
      usage: usageOf(command),
      description: [command.summary, command.exits].filter(Boolean).join('; '),
    })),
  );
}

/** What `COMMAND --help` prints. */
export function commandHelp(command: CommandSpec): string {
  const options = [...command.options, HELP_OPTION];
  const width = Math.max(...options.map((option) => flagsOf(option).length));
  const lines = options.flatMap((option) =>
    wrapped(descriptionOf(option)).map(
      (line, i) => `  ${(i === 0 ? flagsOf(option) : '').padEnd(width)}  ${line}`,
    ),
  );
  const { examples, exits } = command;
  return [
    `Usage: product-service ${usageOf(command)}`,
    '',
    ...wrapped(`${capital(command.summary)}.`),
    '',
    'Options:',
    ...lines,
    '',
    ...(examples.length === 0 ? [] : ['Examples:']),
    ...examples.flatMap(({ command: line, what }) => [`  ${line}`, `      ${what}`]),
    ...(examples.length === 0 ? [] : ['']),
    `Exit codes: ${exitsOf(exits)}.`,
    '',
  ].join('\n');
}

/** docs/cli-reference.md. */
export function referencePage(): string {
  const parts = COMMANDS.map((command) => {
    const rows = command.options.map(
      (option) => `| \`${flagsOf(option).replaceAll('|', '\\|')}\` | ${descriptionOf(option)} |`,
    );
    const examples = command.examples.map(({ command: line, what }) => `- \`${line}\`: ${what}`);
    return [
      `## ${command.name}`,
      `\`product-service ${usageOf(command)}\``,
      `${capital(command.summary)}. Exit codes: ${exitsOf(command.exits)}.`,
      rows.length === 0 ? '' : ['| option | |', '| --- | --- |', ...rows].join('\n'),
      examples.join('\n'),
    ]
      .filter((part) => part !== '')
      .join('\n\n');
  });
  const head = [
    '# The command line: reference',
    'Written by `npm run docs:cli` from the table in `src/cli/commands.ts`; [cli.md](cli.md) tells how it is used.',
  ];
  return `${[...head, ...parts].join('\n\n')}\n`;
}

export function usageOf({ name, operands, options }: CommandSpec): string {
  return [name, operands, options.length === 0 ? '' : '[OPTION…]'].filter(Boolean).join(' ');
}

function flagsOf({ name, short, value }: OptionSpec): string {
  const long = value === undefined ? `--${name}` : `--${name} ${value}`;
  return short === undefined ? long : `-${short}, ${long}`;
}

function descriptionOf({ choices, description }: OptionSpec): string {
  return choices === undefined ? description : `${choices.join(', ')}: ${description}`;
}

function exitsOf(own: string | undefined): string {
  const all = '0 = done, 1 = failed, 2 = wrong usage';
  if (own === undefined) return all;
  return own.startsWith('0') ? `${own}, 2 = wrong usage` : `${all}, ${own}`;
}

function capital(text: string): string {
  return text.charAt(0).toUpperCase() + text.slice(1);
}

function wrapped(text: string): string[] {
  const lines: string[] = [];
  let line = '';
  for (const word of text.split(' ')) {
    if (line !== '' && line.length + 1 + word.length > TEXT_CHARS_MAX) {
      lines.push(line);
      line = '';
    }
    line += (line === '' ? '' : ' ') + word;
  }
  return [...lines, line];
}
