/** Who asks, as a verified token says it, and what each role may. Pure, any thread. */

/** From the least to the most; each may all that those before it may. */
export const ROLES = ['reader', 'writer', 'admin'] as const;

export type Role = (typeof ROLES)[number];

export interface Identity {
  /** The token's `sub`. */
  readonly subject: string;
  /** The highest that the token gives; `undefined` where it gives none of ours. */
  readonly role: Role | undefined;
  /** Until when the token is taken, in ms since 1970. */
  readonly untilMs: number;
}

/** Why nobody is known, as a problem and a sentence for its detail. */
export interface IdentityFault {
  readonly code: 'token-missing' | 'token-invalid' | 'issuer-unreachable';
  /** Plain ASCII without quotes and backslashes: it stands in WWW-Authenticate, too. */
  readonly detail?: string;
  /** Whole seconds, ≥ 1, after which a retry is worth it. */
  readonly retryAfterSeconds?: number;
}

/** Whether `role` may what takes at least `least`. */
export function mayAs(role: Role | undefined, least: Role): boolean {
  return role !== undefined && ROLES.indexOf(role) >= ROLES.indexOf(least);
}
