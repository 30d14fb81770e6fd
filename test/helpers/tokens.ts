/** Tokens as an issuer signs them, with keys of the test's own. Tests only. */

import { Buffer } from 'node:buffer';
import { generateKeyPairSync, type KeyObject } from 'node:crypto';
import { type JWTPayload, SignJWT } from 'jose';

export const SECRET = 'a secret of the tests, 32 bytes and more';

export interface KeyPair {
  readonly algorithm: 'RS256' | 'ES256' | 'EdDSA';
  readonly privateKey: KeyObject;
  readonly publicKey: KeyObject;
  /** As JWT_PUBLIC_KEY takes it. */
  readonly pem: string;
}

export function keyPair(algorithm: KeyPair['algorithm']): KeyPair {
  const { privateKey, publicKey } = generated(algorithm);
  const pem = publicKey.export({ type: 'spki', format: 'pem' }).toString();
  return { algorithm, privateKey, publicKey, pem };
}

function generated(algorithm: KeyPair['algorithm']) {
  if (algorithm === 'RS256') return generateKeyPairSync('rsa', { modulusLength: 2048 });
  if (algorithm === 'ES256') return generateKeyPairSync('ec', { namedCurve: 'P-256' });
  return generateKeyPairSync('ed25519');
}

/** Claims that are taken where neither issuer nor audience is asked for; for an hour. */
export function claims(extra: JWTPayload = {}): JWTPayload {
  return { sub: 'repricer-7', exp: Math.floor(Date.now() / 1000) + 3600, ...extra };
}

/** A token with HS256, with just these claims. */
export function secretToken(payload: JWTPayload, secret = SECRET): Promise<string> {
  return new SignJWT(payload).setProtectedHeader({ alg: 'HS256' }).sign(Buffer.from(secret));
}

/** A token by a pair's private key. */
export function pairToken(payload: JWTPayload, pair: KeyPair, kid?: string): Promise<string> {
  const header = { alg: pair.algorithm, ...(kid === undefined ? {} : { kid }) };
  return new SignJWT(payload).setProtectedHeader(header).sign(pair.privateKey);
}

/** A pair's public key as it stands in a key set. */
export function setKey(pair: KeyPair, kid: string): Record<string, unknown> {
  return { ...pair.publicKey.export({ format: 'jwk' }), kid, use: 'sig', alg: pair.algorithm };
}

/** Three parts as given, whatever they are: tokens that no issuer makes. */
export function rawToken(header: unknown, payload: unknown, signature = 'AAAA'): string {
  const part = (value: unknown) => Buffer.from(JSON.stringify(value)).toString('base64url');
  return `${part(header)}.${part(payload)}.${signature}`;
}
