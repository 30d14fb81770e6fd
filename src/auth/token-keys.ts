/**
 * The keys under which tokens are verified, each for one algorithm: a key is never tried with another,
 * whatever a token's header says. Main thread.
 */

import { Buffer } from 'node:buffer';
import { createPublicKey, createSecretKey, type KeyObject } from 'node:crypto';

export type Algorithm = 'HS256' | 'RS256' | 'ES256' | 'EdDSA';

export interface TokenKey {
  readonly algorithm: Algorithm;
  /** Its name in a key set; `undefined` where it has none. */
  readonly kid: string | undefined;
  readonly key: KeyObject;
}

/** Nothing can be said of the token now: its keys can't be had. */
export interface KeysUnreachable {
  /** Whole seconds, ≥ 1, until they are asked for again. */
  readonly retryAfterSeconds: number;
}

/** Where keys come from: the configuration, or a key set on the network. */
export interface TokenKeys {
  /** The keys that may have signed a token with this header. */
  candidates(
    algorithm: Algorithm,
    kid: string | undefined,
  ): Promise<readonly TokenKey[] | KeysUnreachable>;
  /** Called once, at the beginning: `onChange` is called whenever other keys are in force. */
  open(onChange: () => void): void;
  close(): void;
}

const RSA_BITS_MIN = 2048;

/** The names that a token's `alg` may have. RFC 9864 has given EdDSA's a name for each curve. */
const ALGORITHM_OF_NAME: ReadonlyMap<string, Algorithm> = new Map([
  ['HS256', 'HS256'],
  ['RS256', 'RS256'],
  ['ES256', 'ES256'],
  ['EdDSA', 'EdDSA'],
  ['Ed25519', 'EdDSA'],
]);

/** Reads a token's `alg`; `undefined` for whatever isn't taken, `none` above all. */
export function algorithmOf(name: unknown): Algorithm | undefined {
  return typeof name === 'string' ? ALGORITHM_OF_NAME.get(name) : undefined;
}

/** The names under which an algorithm stands in tokens. */
export function namesOf(algorithm: Algorithm): string[] {
  return [...ALGORITHM_OF_NAME].flatMap(([name, known]) => (known === algorithm ? [name] : []));
}

/** Those of `keys` that may have signed a token with this header. */
export function fitting(
  keys: readonly TokenKey[],
  algorithm: Algorithm,
  kid: string | undefined,
): readonly TokenKey[] {
  return keys.filter((known) => {
    const isNamed = kid === undefined || known.kid === undefined || known.kid === kid;
    return known.algorithm === algorithm && isNamed;
  });
}

/** The key of a shared secret, whose UTF-8 is the key. */
export function secretKey(secret: string): TokenKey {
  return { algorithm: 'HS256', kid: undefined, key: createSecretKey(Buffer.from(secret)) };
}

/**
 * Reads a public key, or certificate, in PEM; `\n` may stand for line ends, as in one-line variables.
 * @throws with one line that completes "the key …".
 */
export function publicKey(pem: string): TokenKey {
  const text = pem.replaceAll('\\n', '\n');
  // Node would take it, and derive the public one.
  if (text.includes('PRIVATE KEY')) throw new Error('is a private one; give the public one');
  let key: KeyObject;
  try {
    key = createPublicKey(text);
  } catch {
    throw new Error('is no public key in PEM');
  }
  const algorithm = algorithmFor(key);
  if (algorithm === undefined) {
    throw new Error(`is none of RSA (from ${RSA_BITS_MIN} bits), EC (P-256) or Ed25519`);
  }
  return { algorithm, kid: undefined, key };
}

/** What a public key is for; `undefined` if nothing here takes it. */
export function algorithmFor(key: KeyObject): Algorithm | undefined {
  const { modulusLength = 0, namedCurve } = key.asymmetricKeyDetails ?? {};
  switch (key.asymmetricKeyType) {
    case 'rsa':
      return modulusLength >= RSA_BITS_MIN ? 'RS256' : undefined;
    case 'ec':
      return namedCurve === 'prime256v1' ? 'ES256' : undefined;
    case 'ed25519':
      return 'EdDSA';
    default:
      return undefined;
  }
}

/** Keys that stay as they are. */
export class FixedKeys implements TokenKeys {
  readonly #keys: readonly TokenKey[];

  constructor(keys: readonly TokenKey[]) {
    this.#keys = keys;
  }

  async candidates(algorithm: Algorithm, kid: string | undefined): Promise<readonly TokenKey[]> {
    return fitting(this.#keys, algorithm, kid);
  }

  open(): void {}

  close(): void {}
}
