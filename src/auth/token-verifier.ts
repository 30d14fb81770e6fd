/**
 * Verifies one token: signature under one of our keys, by its own algorithm; exp, sub, nbf, and iss and aud
 * where the configuration names them. Main thread; the signature itself is checked by Node's WebCrypto,
 * beside it. Each fault has a sentence that says nothing of the token's content.
 */
import {
  decodeProtectedHeader,
  errors,
  type JWTPayload,
  type JWTVerifyOptions,
  jwtVerify,
} from 'jose';
import type { Identity, IdentityFault } from './identity.ts';
import { roleIn } from './roles.ts';
import { algorithmOf, namesOf, type TokenKey, type TokenKeys } from './token-keys.ts';

export interface TokenRules {
  readonly issuer: string | undefined;
  readonly audience: string | undefined;
  /** The claim that has the roles. */
  readonly rolesClaim: string;
  /** How far the issuer's clock may be off. */
  readonly clockSkewMs: number;
}

const SUBJECT_LENGTH_MAX = 256;

export class TokenVerifier {
  readonly #keys: TokenKeys;
  readonly #rules: TokenRules;

  constructor(keys: TokenKeys, rules: TokenRules) {
    this.#keys = keys;
    this.#rules = rules;
  }

  /** Resolves, whatever the token is. */
  async verify(token: string): Promise<Identity | IdentityFault> {
    const header = headerOf(token);
    if (header === undefined) return invalid('It is no signed JSON Web Token.');
    const algorithm = algorithmOf(header.alg);
    if (algorithm === undefined) return invalid('Its algorithm is not taken here.');
    const keys = await this.#keys.candidates(algorithm, header.kid);
    if ('retryAfterSeconds' in keys) return { code: 'issuer-unreachable', ...keys };
    for (const key of keys) {
      try {
        const { payload } = await jwtVerify(token, key.key, this.#optionsFor(key));
        return this.#identityOf(payload);
      } catch (error) {
        if (error instanceof errors.JWSSignatureVerificationFailed) continue;
        return invalid(detailOf(error));
      }
    }
    return invalid('It is not signed by a key that is known here.');
  }

  #optionsFor({ algorithm }: TokenKey): JWTVerifyOptions {
    const { issuer, audience, clockSkewMs } = this.#rules;
    return {
      algorithms: namesOf(algorithm),
      clockTolerance: clockSkewMs / 1000,
      requiredClaims: ['exp', 'sub'],
      ...(issuer === undefined ? {} : { issuer }),
      ...(audience === undefined ? {} : { audience }),
    };
  }

  #identityOf(payload: JWTPayload): Identity | IdentityFault {
    const { sub, exp = 0 } = payload;
    if (typeof sub !== 'string' || sub === '' || sub.length > SUBJECT_LENGTH_MAX) {
      return invalid(`Its sub is no text of 1 to ${SUBJECT_LENGTH_MAX} characters.`);
    }
    const { rolesClaim, clockSkewMs } = this.#rules;
    return { subject: sub, role: roleIn(payload, rolesClaim), untilMs: exp * 1000 + clockSkewMs };
  }
}

function headerOf(token: string): { readonly alg?: unknown; readonly kid?: string } | undefined {
  try {
    const { alg, kid } = decodeProtectedHeader(token);
    return { alg, ...(typeof kid === 'string' ? { kid } : {}) };
  } catch {
    return undefined;
  }
}

function detailOf(error: unknown): string {
  if (error instanceof errors.JWTExpired) return 'It has expired.';
  if (error instanceof errors.JWTClaimValidationFailed) return claimFault(error);
  return 'It is no signed JSON Web Token as this service takes them.';
}

function claimFault({ claim, reason }: errors.JWTClaimValidationFailed): string {
  if (reason === 'missing') return `It has no ${claim}.`;
  if (claim === 'nbf' && reason === 'check_failed') return 'It is not valid yet.';
  if (claim === 'iss') return 'It is by another issuer.';
  if (claim === 'aud') return 'It is for another audience.';
  return `Its ${claim} is not as it must be.`;
}

function invalid(detail: string): IdentityFault {
  return { code: 'token-invalid', detail };
}
