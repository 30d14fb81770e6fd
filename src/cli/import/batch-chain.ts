/**
 * Names the batches of an import: each key is the digest of the one before and of the batch's bytes. So a key
 * stands for what the batch says and for all that was said before it: the same feed has the same keys, at any
 * time and on any machine, and one that was changed has other keys from the change on. Main thread.
 */
import { createHash } from 'node:crypto';

const SEED = 'product-service import 1';

export class BatchChain {
  #digest: Buffer;

  /** `salt` tells an import apart from earlier ones of the same content; '' = it is the same. */
  constructor(salt: string) {
    this.#digest = createHash('sha256').update(SEED).update(salt).digest();
  }

  /** Goes on to the batch with this body. */
  next(body: Uint8Array): void {
    this.#digest = createHash('sha256').update(this.#digest).update(body).digest();
  }

  get hex(): string {
    return this.#digest.toString('hex');
  }

  /** The idempotency key of the batch that `next` was called for last. */
  get key(): string {
    return `import-${this.#digest.toString('base64url')}`;
  }
}
