/**
 * If-None-Match, RFC 9110 sections 8.8.3 and 13.1.2. Main thread; pure functions.
 */

// entity-tag = [ weak ] opaque-tag; an opaque tag may hold commas, but no quotes.
const ENTITY_TAG = /(?:W\/)?("[\x21\x23-\x7e\x80-\xff]*")/g;

/** Tells whether `header` names `etag` (quoted), comparing weakly; `*` names whatever there is. */
export function matchesEtag(header: string, etag: string): boolean {
  if (header.trim() === '*') return true;
  for (const [, tag] of header.matchAll(ENTITY_TAG)) if (tag === etag) return true;
  return false;
}
