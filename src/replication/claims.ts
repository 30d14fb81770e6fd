/**
 * What the other writers' messages say of their state and this one's at the same position: whether this
 * instance is with the majority. Log thread; pure.
 */
import type { Claim } from './replica-state.ts';

export class Claims {
  /** What each writer's last message said that could be compared. */
  readonly #last = new Map<number, 'same' | 'other'>();

  note(writer: number, claim: Claim): void {
    if (claim !== 'unknown') this.#last.set(writer, claim);
  }

  /** Forgets the writers that are no more. */
  forget(isKnown: (writer: number) => boolean): void {
    for (const writer of this.#last.keys()) if (!isKnown(writer)) this.#last.delete(writer);
  }

  /** Whether at least as many have another state as have this one, this instance counted. */
  get isOutvoted(): boolean {
    let others = 0;
    for (const claim of this.#last.values()) if (claim === 'other') others++;
    return others > 0 && others >= this.#last.size - others + 1;
  }
}
