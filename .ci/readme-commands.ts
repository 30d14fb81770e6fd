/**
 * Finds the commands that a README tells its reader to type. Pure text functions.
 */

const FENCED_SHELL = /^```(?:sh|bash|shell|console)\n([\s\S]*?)^```$/gm;

/** A curl command of the README and the status that it says comes back. */
export interface Example {
  readonly command: string;
  readonly status: number;
}

/** The curl commands among `commands`, each with the status in the comment behind it. */
export function examplesOf(commands: readonly string[]): readonly Example[] {
  return commands
    .filter((command) => command.startsWith('curl '))
    .map((command) => {
      const match = /^(.*?)\s+# (\d{3})\b/.exec(command);
      if (match?.[1] === undefined) throw new Error(`expected a status behind: ${command}`);
      return { command: match[1], status: Number(match[2]) };
    });
}

/**
 * Returns the commands of all fenced shell blocks (sh, bash, shell, console), in order: lines
 * joined where they end in a backslash, without a leading `$ `, without blank and comment lines.
 */
export function commandsOf(readme: string): readonly string[] {
  return [...readme.matchAll(FENCED_SHELL)].flatMap(([, block]) =>
    block
      .replaceAll(/\s*\\\n\s*/g, ' ')
      .split('\n')
      .map((line) => line.trim().replace(/^\$ /, ''))
      .filter((line) => line !== '' && !line.startsWith('#')),
  );
}
