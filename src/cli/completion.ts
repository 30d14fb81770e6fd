/**
 * `completion`: a script for the shell, from the table of commands. It knows commands, options, the values
 * of those that have few, and where files stand. Main thread.
 */
import { type CommandContext, type CommandSpec, type OptionSpec, UsageError } from './command.ts';
import { COMMANDS, HELP_OPTION } from './commands.ts';

const PROGRAM = 'product-service';
/** Options whose value is a file or folder. */
const PATHS: readonly string[] = ['FILE', 'DIR'];

export async function run({ operands }: CommandContext): Promise<number> {
  const [shell, ...more] = operands;
  const script = more.length > 0 ? undefined : SCRIPTS[shell ?? ''];
  if (script === undefined) throw new UsageError('completion needs bash, zsh or fish');
  process.stdout.write(script());
  return 0;
}

const SCRIPTS: Readonly<Record<string, () => string>> = {
  bash,
  // zsh runs bash's through its own adapter.
  zsh: () =>
    `autoload -U +X compinit && compinit\nautoload -U +X bashcompinit && bashcompinit\n${bash()}`,
  fish,
};

function bash(): string {
  const names = COMMANDS.map(({ name }) => name).join(' ');
  return `# bash completion of ${PROGRAM}; written by: ${PROGRAM} completion bash
_product_service() {
  local word="\${COMP_WORDS[COMP_CWORD]}" before="\${COMP_WORDS[COMP_CWORD-1]}" words='' files=''
  if [ "$COMP_CWORD" -eq 1 ]; then
    words='${names} help --help --version --check-config'
  else
    case "\${COMP_WORDS[1]}" in
${COMMANDS.map(bashCase).join('\n')}
    help) words='${names}' ;;
    esac
  fi
  COMPREPLY=($(compgen -W "$words" -- "$word"))
  if [ -n "$files" ]; then COMPREPLY+=($(compgen -f -- "$word")); fi
}
complete -o filenames -F _product_service ${PROGRAM}
`;
}

function bashCase(command: CommandSpec): string {
  const options = optionsOf(command);
  const values = options.flatMap(({ name, short, value, choices }) => {
    if (value === undefined) return [];
    const flags = short === undefined ? `--${name}` : `-${short}|--${name}`;
    const does =
      choices !== undefined
        ? `words='${choices.join(' ')}'`
        : PATHS.includes(value)
          ? 'files=yes'
          : ':';
    return [`      ${flags}) ${does} ;;`];
  });
  const flags = options.map(({ name }) => `--${name}`).join(' ');
  const words = [flags, ...fixedOperands(command)].join(' ');
  const otherwise = `      *) words='${words}'${command.takesFiles ? '; files=yes' : ''} ;;`;
  return `    ${command.name})
      case "$before" in
${[...values, otherwise].join('\n')}
      esac ;;`;
}

function fish(): string {
  const names = COMMANDS.map(({ name }) => name).join(' ');
  const lines = [
    `# fish completion of ${PROGRAM}; written by: ${PROGRAM} completion fish`,
    `complete -c ${PROGRAM} -f`,
    `complete -c ${PROGRAM} -n 'not __fish_seen_subcommand_from ${names}' -l version -d 'print the version'`,
  ];
  for (const command of COMMANDS) {
    const { name, summary, takesFiles } = command;
    lines.push(
      `complete -c ${PROGRAM} -n 'not __fish_seen_subcommand_from ${names}' -a ${name} -d ${fishText(summary)}`,
    );
    const isIt = `-n '__fish_seen_subcommand_from ${name}'`;
    if (takesFiles) lines.push(`complete -c ${PROGRAM} ${isIt} -F`);
    for (const operand of fixedOperands(command)) {
      lines.push(`complete -c ${PROGRAM} ${isIt} -a ${operand}`);
    }
    for (const option of optionsOf(command)) {
      lines.push(`complete -c ${PROGRAM} ${isIt} ${fishOption(option)}`);
    }
  }
  return `${lines.join('\n')}\n`;
}

function fishOption({ name, short, value, choices, description }: OptionSpec): string {
  const files = value !== undefined && PATHS.includes(value) ? ' -F' : '';
  const words = choices === undefined ? '' : ` -a '${choices.join(' ')}'`;
  const takes = value === undefined ? '' : ` -r${words}${files}`;
  return `${short === undefined ? '' : `-s ${short} `}-l ${name}${takes} -d ${fishText(description)}`;
}

function fishText(text: string): string {
  return `'${text.replaceAll('\\', '\\\\').replaceAll("'", "\\'")}'`;
}

function optionsOf({ options }: CommandSpec): readonly OptionSpec[] {
  return [...options, HELP_OPTION];
}

/** What stands for itself in the operands (`bash|zsh|fish`). */
function fixedOperands({ operands }: CommandSpec): readonly string[] {
  return /^[a-z|]+$/.test(operands) && operands !== '' ? operands.split('|') : [];
}
