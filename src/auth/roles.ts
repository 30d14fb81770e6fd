/**
 * The role in a token's claims. Pure, any thread. Issuers put it where they like: `roles`, `scope` (words in
 * one text), Keycloak's `realm_access.roles`, Auth0's `https://example.com/roles`.
 */
import { ROLES, type Role } from './identity.ts';

/**
 * Returns the highest role that stands in the claim `path`: an array of texts, or one text of words.
 * A claim of exactly that name counts first; else its dots lead into objects.
 */
export function roleIn(claims: object, path: string): Role | undefined {
  const value = Object.hasOwn(claims, path)
    ? memberOf(claims, path)
    : path.split('.').reduce<unknown>(memberOf, claims);
  const words: readonly unknown[] =
    typeof value === 'string' ? value.split(' ') : Array.isArray(value) ? value : [];
  return ROLES.findLast((role) => words.includes(role));
}

function memberOf(value: unknown, name: string): unknown {
  if (typeof value !== 'object' || value === null || !Object.hasOwn(value, name)) return undefined;
  return (value as Readonly<Record<string, unknown>>)[name];
}
