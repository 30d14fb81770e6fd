/**
 * Reads `.env`, which holds nothing but this service's variables: a line or a name that it does
 * not know is a fault, because a mistyped variable would silently leave a default in force.
 * The real environment wins: `loadConfig({ ...readDotEnv(path), ...process.env })`.
 */
import { readFileSync } from 'node:fs';
import { readEnvValue } from './dot-env-value.ts';
import { ConfigError } from './load.ts';
import { CONFIG_KEYS, variableOf } from './schema.ts';
import { fileVariableOf, SECRET_VARIABLES } from './secret-files.ts';

const ASSIGNMENT = /^\s*(?:export\s+)?([^\s=#]+)\s*=(.*)$/;
const BLANK_OR_COMMENT = /^\s*(?:#.*)?$/;

/**
 * Returns the variables set in the file at `path`, unchecked; none if there is no such file.
 * @throws {ConfigError} in one line: an unreadable file, a line that is no `NAME=value`, a
 * value that others would read differently, an unknown variable (with the name that was probably meant) or one that is set twice.
 */
export function readDotEnv(path: string): Readonly<Record<string, string>> {
  const content = readIfThere(path);
  if (content === undefined) return {};

  const faults: string[] = [];
  const known = [
    ...CONFIG_KEYS.map((key) => variableOf(key).env),
    ...SECRET_VARIABLES.map(fileVariableOf),
  ];
  const values: Record<string, string> = {};
  for (const [index, line] of content.split(/\r?\n/).entries()) {
    if (BLANK_OR_COMMENT.test(line)) continue;
    const [, name, text = ''] = ASSIGNMENT.exec(line) ?? [];
    const place = `${path}:${index + 1}`;
    if (name === undefined) {
      faults.push(`${place} must be NAME=value, a comment or blank`);
    } else if (!known.includes(name)) {
      faults.push(
        `${place} sets ${JSON.stringify(name)}, which is no variable${hint(name, known)}`,
      );
    } else if (Object.hasOwn(values, name)) {
      faults.push(`${place} sets ${name} a second time`);
    } else {
      const read = readEnvValue(text);
      if ('fault' in read) faults.push(`${place} sets ${name}, but the value ${read.fault}`);
      // Kept even so, that a second one is found.
      values[name] = 'value' in read ? read.value : '';
    }
  }
  if (faults.length > 0) throw new ConfigError(faults);
  return values;
}

function readIfThere(path: string): string | undefined {
  try {
    // Windows' editors begin a file with a byte order mark; TextDecoder drops it.
    return new TextDecoder().decode(readFileSync(path));
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    if (code === 'ENOENT') return undefined;
    throw new ConfigError([`${path} can't be read (${code}); make it readable or remove it`]);
  }
}

/** Suggests the nearest known name, or the list's whereabouts if none is near. */
function hint(name: string, known: readonly string[]): string {
  const upper = name.toUpperCase();
  let nearest = '';
  let least = 4;
  for (const candidate of known) {
    const distance = editDistance(upper, candidate);
    if (distance < least) {
      least = distance;
      nearest = candidate;
    }
  }
  return nearest === '' ? '; --help lists them' : `; did you mean ${nearest}?`;
}

/** Levenshtein's distance between two short names. */
function editDistance(a: string, b: string): number {
  let previous = Array.from({ length: b.length + 1 }, (_, column) => column);
  for (let row = 1; row <= a.length; row++) {
    const current = [row];
    for (let column = 1; column <= b.length; column++) {
      const substitution = previous[column - 1] + (a[row - 1] === b[column - 1] ? 0 : 1);
      current.push(Math.min(substitution, previous[column] + 1, current[column - 1] + 1));
    }
    previous = current;
  }
  return previous[b.length];
}
