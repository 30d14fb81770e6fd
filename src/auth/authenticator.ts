/**
 * Who sends a request, by its Authorization header. Main thread. A token is verified once and then known
 * until it expires, or until keys change: a POST costs a look into a map. Only what was verified is kept, at
 * most TOKENS_MAX of them, so nobody without a token can fill it; the oldest makes room.
 */
import type { Identity, IdentityFault } from './identity.ts';
import type { TokenKeys } from './token-keys.ts';
import { type TokenRules, TokenVerifier } from './token-verifier.ts';

const TOKENS_MAX = 4096;
/** Longer ones are refused; what an issuer makes is mostly below 2 KB. */
const HEADER_LENGTH_MAX = 8192;

const BEARER = /^Bearer +([\w.~+/-]+=*) *$/i;

export class Authenticator {
  readonly #keys: TokenKeys;
  readonly #verifier: TokenVerifier;
  /** By the whole header, so that a known one isn't even parsed. */
  readonly #known = new Map<string, Identity>();
  /** Counts the changes of keys: what was verified before one is not kept behind it. */
  #epoch = 0;

  constructor(keys: TokenKeys, rules: TokenRules) {
    this.#keys = keys;
    this.#verifier = new TokenVerifier(keys, rules);
    keys.open(() => {
      this.#epoch++;
      this.#known.clear();
    });
  }

  /** Who it is, if the header is one that was verified before and still holds. */
  known(header: string | undefined): Identity | undefined {
    if (header === undefined) return undefined;
    const identity = this.#known.get(header);
    if (identity === undefined || Date.now() < identity.untilMs) return identity;
    this.#known.delete(header);
    return undefined;
  }

  /** Verifies it; resolves, whatever it is. */
  async identify(header: string | undefined): Promise<Identity | IdentityFault> {
    if (header === undefined) return { code: 'token-missing' };
    const token = header.length > HEADER_LENGTH_MAX ? undefined : BEARER.exec(header)?.[1];
    if (token === undefined) return { code: 'token-invalid', detail: NO_TOKEN };
    const epoch = this.#epoch;
    const found = await this.#verifier.verify(token);
    if ('subject' in found && epoch === this.#epoch) this.#keep(header, found);
    return found;
  }

  close(): void {
    this.#keys.close();
  }

  #keep(header: string, identity: Identity): void {
    if (this.#known.size >= TOKENS_MAX) {
      const [oldest = ''] = this.#known.keys();
      this.#known.delete(oldest);
    }
    this.#known.set(header, identity);
  }
}

const NO_TOKEN = `Authorization must be Bearer and one token, of at most ${HEADER_LENGTH_MAX} characters.`;
