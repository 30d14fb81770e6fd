/**
 * Lists of web origins: `https://shop.example, http://localhost:5173`. Pure, any thread.
 */

/** The origins, written as browsers write them; `undefined` if `text` is no list of such. */
export function parseOrigins(text: string): readonly string[] | undefined {
  const origins = text.split(',').map((entry) => entry.trim());
  return origins.every(isOrigin) ? origins : undefined;
}

/** Exactly what a browser sends: a scheme, a host in lower case, and no default port, path or star. */
function isOrigin(text: string): boolean {
  if (!/^https?:\/\//.test(text) || text.includes('*')) return false;
  return URL.canParse(text) && new URL(text).origin === text;
}
