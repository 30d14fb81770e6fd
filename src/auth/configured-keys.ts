/**
 * The keys that stand in the configuration itself. Main thread, at start; reads a file where JWT_PUBLIC_KEY is
 * a path. Apart from what verifies tokens, so that a configuration is checked without loading that.
 */
import { readFileSync } from 'node:fs';
import { ConfigError } from '../config/load.ts';
import type { Config } from '../config/schema.ts';
import { publicKey, secretKey, type TokenKey } from './token-keys.ts';

/**
 * Returns those that JWT_SECRET or JWT_PUBLIC_KEY gives; none without them.
 * @throws {ConfigError} JWT_PUBLIC_KEY is no key, or the file there can't be read.
 */
export function configuredKeys({ jwtSecret, jwtPublicKey }: Config): readonly TokenKey[] {
  if (jwtSecret !== undefined) return [secretKey(jwtSecret)];
  if (jwtPublicKey === undefined) return [];
  const isText = jwtPublicKey.includes('-----BEGIN');
  try {
    return [publicKey(isText ? jwtPublicKey : readFileSync(jwtPublicKey, 'utf8'))];
  } catch (error) {
    if (isFileError(error)) {
      const path = JSON.stringify(jwtPublicKey);
      throw new ConfigError([`JWT_PUBLIC_KEY=${path} can't be read (${error.code})`]);
    }
    const reason = error instanceof Error ? error.message : String(error);
    throw new ConfigError([`JWT_PUBLIC_KEY: the key ${reason}`]);
  }
}

function isFileError(error: unknown): error is NodeJS.ErrnoException {
  return error instanceof Error && 'syscall' in error;
}
