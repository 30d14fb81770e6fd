/**
 * What a cluster is called, and what all of its instances must agree on: it stands in GENESIS, the first
 * message of the stream. Any thread; pure.
 */
import type { HashKey } from '../threads/shared-memory.ts';
import {
  bodyOf,
  CLUSTER_BYTES,
  KIND_GENESIS,
  PLAIN_HEAD,
  packMessage,
  unpackMessage,
} from './message.ts';

/** Whatever decides what becomes of an event. */
export interface ClusterSettings {
  /** Of the rules by which events are judged; this program knows RULES. */
  readonly rules: number;
  readonly shards: number;
  /** Products that one shard has room for. */
  readonly shardEntries: number;
  /** Keyed events whose repetition is known, exactly. */
  readonly dedupeEvents: number;
}

export interface Genesis extends ClusterSettings {
  /** The cluster's id, in hexadecimal. */
  readonly id: string;
  /** That of all its instances. */
  readonly hashKey: HashKey;
}

export const RULES = 1;

/** Names of one cluster in NATS. A stream's name is never used a second time: hence the generation. */
export function namesOf(cluster: string, generation = 1) {
  return {
    stream: `PS_${cluster}_${generation}`,
    /** What instances publish to. */
    log: `ps.${cluster}.${generation}.log`,
    /** What the stream hands on as soon as it is stored. */
    tail: `ps.${cluster}.${generation}.tail`,
  };
}

export function packGenesis(genesis: Genesis, nowMs: number): Buffer {
  const cluster = Buffer.from(genesis.id, 'hex');
  const head = { ...PLAIN_HEAD, kind: KIND_GENESIS, cluster, madeAtMs: nowMs };
  return packMessage(head, Buffer.from(JSON.stringify(genesis)));
}

/** What a cluster was begun with, or a sentence that says why this message begins none. */
export function unpackGenesis(bytes: Uint8Array): Genesis | string {
  const message = unpackMessage(bytes);
  if (typeof message === 'string') return message;
  if (message.kind !== KIND_GENESIS) return `it is of kind ${message.kind}`;
  const body = bodyOf(message);
  if (typeof body === 'string') return body;
  const genesis = JSON.parse(Buffer.from(body).toString()) as Genesis;
  if (Buffer.from(genesis.id, 'hex').length !== CLUSTER_BYTES) return 'its id is none';
  if (genesis.rules > RULES) return `its rules are version ${genesis.rules}: take a newer program`;
  return genesis;
}

/** In what an instance differs from its cluster, in one line; `undefined` = in nothing. */
export function differences(
  genesis: Genesis,
  own: Omit<ClusterSettings, 'rules'>,
): string | undefined {
  const said = [
    ['SHARDS', genesis.shards, own.shards],
    ['products a shard (MAX_MEMORY_USAGE)', genesis.shardEntries, own.shardEntries],
    ['DEDUPE_WINDOW', genesis.dedupeEvents, own.dedupeEvents],
  ] as const;
  const differing = said.filter(([, theirs, ours]) => theirs !== ours);
  if (differing.length === 0) return undefined;
  return differing
    .map(([name, theirs, ours]) => `${name} is ${ours} here and ${theirs} there`)
    .join(', ');
}
