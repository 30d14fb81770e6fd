/**
 * Who is counted, as the tables know them: two keyed hashes of a text, a subject's or a network's.
 * Texts come from outside and the keys are random for each start, so nobody can choose a text that
 * falls on another's place. Any thread that has the keys; pure but for a scratch of its own.
 */
import { Buffer } from 'node:buffer';
import { createHash, randomInt } from 'node:crypto';
import { isIP } from 'node:net';
import { hashId } from '../store/id-hash.ts';
import type { HashKey } from '../threads/shared-memory.ts';

export interface ClientKey {
  /** Says where it may stand; any Int32. */
  readonly hash: number;
  /** Tells it from others there; an Int32. */
  readonly tag: number;
}

/** `[2001:db8::1]:443`, `[2001:db8::1]`, `192.0.2.7:443` */
const WITH_PORT = /^(?:\[([^\]]*)\](?::\d+)?|([0-9.]+):\d+)$/;

/** Longer texts are hashed to a shorter one first. */
const TEXT_BYTES_MAX = 252;

/** What the keys of clients are made with; those who share a table share it. */
export interface ClientKeySecret {
  readonly places: HashKey;
  readonly tags: HashKey;
}

export class ClientKeys {
  readonly #places: HashKey;
  readonly #tags: HashKey;
  readonly #words = new Int32Array(TEXT_BYTES_MAX / 4 + 1);
  readonly #bytes = Buffer.from(this.#words.buffer);

  constructor({ places, tags }: ClientKeySecret = newClientKeySecret()) {
    this.#places = places;
    this.#tags = tags;
  }

  /** Of who proved to be `subject`. */
  ofSubject(subject: string): ClientKey {
    return this.#of(`s${subject}`);
  }

  /** Of whoever comes from `address`; `undefined`: from this machine, over a socket without one. */
  ofAddress(address: string | undefined): ClientKey {
    return this.#of(`a${networkOf(address)}`);
  }

  #of(text: string): ClientKey {
    const short =
      text.length * 3 <= TEXT_BYTES_MAX || Buffer.byteLength(text) <= TEXT_BYTES_MAX
        ? text
        : createHash('sha256').update(text).digest('base64');
    const words = this.#words;
    const bytes = this.#bytes.write(short);
    this.#bytes.fill(0, bytes, (bytes + 4) & ~3);
    return {
      hash: hashId(this.#places, words, 0, bytes),
      tag: hashId(this.#tags, words, 0, bytes),
    };
  }
}

/**
 * What of an address stands for one client: an IPv4 address, also where it is written as IPv6, or the
 * first 64 bits of an IPv6 one, which is what a household or a machine is given.
 */
export function networkOf(peer: string | undefined): string {
  // Some proxies hand on the port, too.
  const [, bracketed, plain] = WITH_PORT.exec(peer ?? '') ?? [];
  const address = bracketed ?? plain ?? peer ?? '';
  if (isIP(address) === 0) return 'local';
  if (isIP(address) === 4) return address;
  const groups = groupsOf(address.replace(/%.*$/, ''));
  const isMapped = groups.slice(0, 5).every((group) => group === 0) && groups[5] === 0xffff;
  if (isMapped) {
    const [high, low] = [groups[6], groups[7]];
    return [high >> 8, high & 255, low >> 8, low & 255].join('.');
  }
  const network = groups.slice(0, 4).map((group) => group.toString(16));
  return `${network.join(':')}::/64`;
}

/** The eight groups of a valid IPv6 address. */
function groupsOf(address: string): number[] {
  const [head = '', tail] = address.split('::');
  const before = readGroups(head);
  if (tail === undefined) return before;
  const behind = readGroups(tail);
  return [...before, ...Array(8 - before.length - behind.length).fill(0), ...behind];
}

function readGroups(text: string): number[] {
  if (text === '') return [];
  return text.split(':').flatMap((group) => {
    if (!group.includes('.')) return [Number.parseInt(group, 16)];
    const [a = 0, b = 0, c = 0, d = 0] = group.split('.').map(Number);
    return [(a << 8) | b, (c << 8) | d];
  });
}

export function newClientKeySecret(): ClientKeySecret {
  return { places: randomKey(), tags: randomKey() };
}

function randomKey(): HashKey {
  return { k0: randomInt(2 ** 32) | 0, k1: randomInt(2 ** 32) | 0 };
}
