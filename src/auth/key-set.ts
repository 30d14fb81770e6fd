/**
 * The keys in a JSON Web Key Set (RFC 7517) that tokens may be signed with here. Pure, any thread.
 * What isn't for signatures, of another kind, too short or broken is passed over: sets carry keys for others.
 * Symmetric keys are never taken: whoever can read the set could sign.
 */
import { createPublicKey, type JsonWebKey, type KeyObject } from 'node:crypto';
import { algorithmFor, algorithmOf, type TokenKey } from './token-keys.ts';

interface SetKey extends JsonWebKey {
  readonly kid?: unknown;
  readonly alg?: unknown;
  readonly use?: unknown;
  readonly key_ops?: unknown;
}

/** So many are looked at, at the most. */
const KEYS_MAX = 100;

/**
 * Reads the text of a set.
 * @throws with one line if it is none.
 */
export function parseKeySet(text: string): TokenKey[] {
  let set: unknown;
  try {
    set = JSON.parse(text);
  } catch {
    throw new Error('it is no JSON');
  }
  const keys = typeof set === 'object' && set !== null && 'keys' in set ? set.keys : undefined;
  if (!Array.isArray(keys)) throw new Error('it has no array "keys"');
  return keys.slice(0, KEYS_MAX).flatMap((key: unknown) => tokenKeyOf(key) ?? []);
}

/** Whether two sets say the same, in the same order. */
export function areSame(some: readonly TokenKey[], others: readonly TokenKey[]): boolean {
  return (
    some.length === others.length &&
    some.every(({ kid, key }, index) => kid === others[index].kid && key.equals(others[index].key))
  );
}

function tokenKeyOf(value: unknown): TokenKey | undefined {
  if (typeof value !== 'object' || value === null) return undefined;
  const jwk = value as SetKey;
  if (jwk.kty === 'oct' || jwk.d !== undefined || !isForSignatures(jwk)) return undefined;
  let key: KeyObject;
  try {
    key = createPublicKey({ key: jwk, format: 'jwk' });
  } catch {
    return undefined;
  }
  const algorithm = algorithmFor(key);
  if (algorithm === undefined) return undefined;
  if (jwk.alg !== undefined && algorithmOf(jwk.alg) !== algorithm) return undefined;
  return { algorithm, kid: typeof jwk.kid === 'string' ? jwk.kid : undefined, key };
}

function isForSignatures({ use, key_ops }: SetKey): boolean {
  const isMeant = use === undefined || use === 'sig';
  return isMeant && (!Array.isArray(key_ops) || key_ops.includes('verify'));
}
