/**
 * Lists of networks: `10.0.0.0/8, fd00::/8, 192.0.2.7`. Pure, any thread.
 */
import { BlockList, isIP } from 'node:net';

/** Reads whole numbers without a sign or leading zeros. */
const PREFIX = /^(0|[1-9][0-9]{0,2})$/;

/** What says whether an address is in one of the networks; `undefined` if `text` is no list of them. */
export function parseNetworks(text: string): BlockList | undefined {
  const networks = new BlockList();
  for (const entry of text.split(',')) {
    const [address = '', prefix, ...rest] = entry.trim().split('/');
    const version = isIP(address);
    const family = version === 4 ? 'ipv4' : 'ipv6';
    if (version === 0 || address.includes('%') || rest.length > 0) return undefined;
    if (prefix === undefined) {
      networks.addAddress(address, family);
      continue;
    }
    // A prefix of no bits is everybody, and means that anybody may say who he is.
    if (!PREFIX.test(prefix) || prefix === '0') return undefined;
    if (Number(prefix) > (version === 4 ? 32 : 128)) return undefined;
    networks.addSubnet(address, Number(prefix), family);
  }
  return networks;
}

/** Whether `address`, of either family, is in one of `networks`. */
export function isIn(networks: BlockList, address: string | undefined): boolean {
  const version = address === undefined ? 0 : isIP(address);
  if (address === undefined || version === 0) return false;
  return networks.check(address, version === 4 ? 'ipv4' : 'ipv6');
}
