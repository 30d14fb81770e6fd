/**
 * If-None-Match, RFC 9110 sections 8.8.3 and 13.1.2. Main thread; pure functions.
 */

// An opaque tag may hold commas, but no quotes. W/ before it makes no difference to a weak compare.
const OPAQUE_TAG = /"[\x21\x23-\x7e\x80-\xff]*"/g;

/** Tells whether `header` names `etag` (quoted), comparing weakly; `*` names whatever there is. */
export function matchesEtag(header: string, etag: string): boolean {
  if (header.trim() === '*') return true;
  for (const [tag] of header.matchAll(OPAQUE_TAG)) if (tag === etag) return true;
  return false;
}
