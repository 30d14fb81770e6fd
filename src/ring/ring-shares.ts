/** How much of a frame each of several intake rings may fill. Log thread; pure but for the rings' heads. */

/** The log thread's end of one ring, as far as it is shared out. */
export interface SharedEnd {
  /** Slots pending when the frame was shared out. */
  found: number;
  /** Those of them that go into the frame. */
  claimed: number;
  /** Slots that are published and not yet in a frame. */
  pending(): number;
}

/**
 * Claims `room` slots of the rings at the most, the same of each as far as it has them; what is left
 * over goes to those that have more, from the one at `first` on. Returns how many were claimed.
 */
export function shareOut(ends: readonly SharedEnd[], room: number, first: number): number {
  const each = Math.floor(room / ends.length);
  let left = room;
  for (const end of ends) {
    // Once: a producer may publish more meanwhile, which is for the next frame.
    end.found = end.pending();
    end.claimed = Math.min(end.found, each);
    left -= end.claimed;
  }
  for (let i = 0; i < ends.length && left > 0; i++) {
    const end = ends[(first + i) % ends.length];
    const more = Math.min(end.found - end.claimed, left);
    end.claimed += more;
    left -= more;
  }
  return room - left;
}

/** Whether any of them has something pending. */
export function isAnyPending(ends: readonly SharedEnd[]): boolean {
  for (const end of ends) if (end.pending() > 0) return true;
  return false;
}
