/**
 * Secrets out of files, as Docker, Kubernetes and systemd hand them in: beside each variable that is secret there
 * is one of the same name with `_FILE` behind it, the path of a file that holds the value. Main thread.
 */
import { readFileSync } from 'node:fs';
import { ConfigError, type Environment } from './load.ts';
import { CONFIG_KEYS, variableOf } from './schema.ts';

/** Names of the secret variables, in the order of the schema. */
export const SECRET_VARIABLES: readonly string[] = CONFIG_KEYS.map(variableOf)
  .filter(({ secret }) => secret === true)
  .map(({ env }) => env);

/** The variable with the path of the file that `secret` is read from. */
export function fileVariableOf(secret: string): string {
  return `${secret}_FILE`;
}

/**
 * `env` with the secrets that stand in files. One line end at a file's end is none of the secret.
 * @throws {ConfigError} names each file that can't be read or is empty, and each secret that is said twice.
 */
export function withSecretFiles(env: Environment): Environment {
  const faults: string[] = [];
  const read: Record<string, string> = {};
  for (const name of SECRET_VARIABLES) {
    const variable = fileVariableOf(name);
    const path = env[variable];
    if (path === undefined || path === '') continue;
    if (env[name] !== undefined && env[name] !== '') {
      faults.push(`${variable} and ${name} exclude each other: set one`);
      continue;
    }
    const value = readSecret(path);
    if (typeof value === 'string') read[name] = value;
    else faults.push(`${variable}=${JSON.stringify(path)} ${value.fault}`);
  }
  if (faults.length > 0) throw new ConfigError(faults);
  return { ...env, ...read };
}

function readSecret(path: string): string | { readonly fault: string } {
  try {
    const text = readFileSync(path, 'utf8').replace(/\r?\n$/, '');
    return text === '' ? { fault: 'is empty' } : text;
  } catch (error) {
    return { fault: `can't be read (${(error as NodeJS.ErrnoException).code})` };
  }
}
