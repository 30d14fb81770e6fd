/** What HOST may be: an address or a name, without a port; which ones are loopback. Pure, any thread. */
import { isIP, isIPv4, isIPv6 } from 'node:net';

const LABEL = '[A-Za-z0-9_](?:[A-Za-z0-9_-]{0,61}[A-Za-z0-9_])?';
const NAME = new RegExp(`^(?=.{1,253}$)${LABEL}(?:\\.${LABEL})*\\.?$`);
/** No name ends so (RFC 1123): it is a mistyped address. */
const NUMERIC_END = /(?:^|\.)\d+\.?$/;

/** Reads an IP address, IPv6 also in brackets as in a URL, or a host name; `undefined` for any other text. */
export function parseHost(text: string): string | undefined {
  const address = /^\[(.*)\]$/.exec(text)?.[1];
  if (address !== undefined) return isIPv6(address) ? address : undefined;
  if (isIP(text) !== 0) return text;
  return NAME.test(text) && !NUMERIC_END.test(text) ? text : undefined;
}

/** As it stands in a URL. */
export function hostInUrl(host: string): string {
  return isIPv6(host) ? `[${host}]` : host;
}

/** Whether a host, or the address of a peer, is this machine's own: nobody else can reach it or come from it. */
export function isLoopback(host: string): boolean {
  const address = host.replace(/^::ffff:/i, '');
  return (
    host.toLowerCase() === 'localhost' ||
    host === '::1' ||
    (isIPv4(address) && address.startsWith('127.'))
  );
}
