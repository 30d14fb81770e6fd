/**
 * Entity tags, RFC 9110 sections 8.8.3 and 13.1. Main thread; pure functions.
 *
 * The tag of a product is its version in quotes. Servers in between that compress mark tags, because the
 * bytes are no longer those of the origin: nginx and HAProxy make them weak, others append the coding.
 * The version is the same, so both forms stand for it.
 */

// Node reads header bytes as Latin-1. An opaque tag may hold commas, but no quotes.
const OPAQUE_TAG = /"([\x21\x23-\x7e\x80-\xff]*)"/g;
const ONE_TAG = /^(?:W\/)?"([\x21\x23-\x7e\x80-\xff]*)"$/;

/** Apache and Caddy append `-gzip`, Jetty `--gzip`. */
const CODING_SUFFIX = /--?(?:gzip|deflate|br|zstd)$/;

/** What stands between the quotes of `header`, one entity tag; `undefined` if it is anything else. */
export function opaqueTagOf(header: string): string | undefined {
  return ONE_TAG.exec(header)?.[1];
}

/** The tag as the service gave it out. */
export function versionOf(opaqueTag: string): string {
  return opaqueTag.replace(CODING_SUFFIX, '');
}

/**
 * Whether `header`, a list of tags, names the version of `etag` (quoted); `*` names whatever
 * there is.
 */
export function matchesEtag(header: string, etag: string): boolean {
  if (header.trim() === '*') return true;
  for (const [, tag = ''] of header.matchAll(OPAQUE_TAG)) {
    if (`"${versionOf(tag)}"` === etag) return true;
  }
  return false;
}
