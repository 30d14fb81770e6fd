/**
 * What a cluster is called, and what all of its instances must agree on: it stands in GENESIS, the first
 * message of the stream. Any thread; pure.
 */
import { createHash } from 'node:crypto';
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
  /** Absent in the first one. */
  readonly generation?: number;
  /** What an instance of a later generation has to have before it reads the stream. */
  readonly base?: Base;
}

/** Where the data ends with which a generation began. */
export interface Base {
  readonly seq: number;
  readonly chain: number;
  /** Of the folder that it was begun from. */
  readonly nonce: string;
}

export function generationOf({ generation = 1 }: Genesis): number {
  return generation;
}

/** What the places of products in the store are called: they are the same on all instances of a generation. */
export function placesNameOf(genesis: Genesis): string {
  const name = `${genesis.id}/${generationOf(genesis)}`;
  return createHash('sha256').update(name).digest('hex').slice(0, 16);
}

export const RULES = 1;

/** Names of one cluster in NATS. A stream's name is never used a second time: hence the generation. */
export function namesOf(cluster: string, generation = 1) {
  return {
    cluster,
    generation,
    stream: `PS_${cluster}_${generation}`,
    /** What instances publish to. */
    log: `ps.${cluster}.${generation}.log`,
    /** What the stream hands on as soon as it is stored. */
    tail: `ps.${cluster}.${generation}.tail`,
    /** Where instances are asked for their state. */
    who: `ps.${cluster}.${generation}.who`,
    /** Where one is asked for its data: with its id behind. */
    join: `ps.${cluster}.${generation}.join`,
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
