/**
 * Finds the commands that a README tells its reader to type. Pure text functions.
 */

const FENCED_SHELL = /^```(?:sh|bash|shell|console)\n([\s\S]*?)^```$/gm;

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
