/**
 * What an instance knows of the stream up to a position, and how it judges the next message. A function of
 * the stream's prefix alone: not of clocks, configuration, batches or restarts. Log thread; pure.
 *
 * The chain is a checksum over all that was made of the stream so far (numbers, verdicts, times, contents):
 * two instances that have another chain at the same position have diverged. Every message says its
 * writer's chain; `claim` compares it.
 */
import { crc32 } from 'node:zlib';
import { isMetaValid, SLOT_BYTES, SLOT_META } from '../ring/slot.ts';
import {
  bodyOf,
  headerCrc,
  KIND_EVENTS,
  KIND_GENESIS,
  KIND_MARK,
  KIND_OPEN,
  MESSAGE_SLOTS_MAX,
  type Message,
  NewerFormatError,
  unpackMessage,
} from './message.ts';
import { type WriterRecord, WriterTable } from './writer-table.ts';

/** Positions whose chain is remembered: a writer is hardly further behind than this. */
const CHAINS_KEPT = 4096;

/** As it is kept over a restart. */
export interface ReplicaRecord {
  /** Position of the last message taken; 0 = none. */
  readonly position: number;
  /** CRC-32 of its header: another one at that position is another stream. */
  readonly crc: number;
  /** Seq of the next event. */
  readonly nextSeq: number;
  readonly chain: number;
  /** The cluster's id in hexadecimal; `''` before GENESIS. */
  readonly cluster: string;
  readonly writers: readonly WriterRecord[];
}

export const EMPTY_REPLICA: ReplicaRecord = {
  position: 0,
  crc: 0,
  nextSeq: 1,
  chain: 0,
  cluster: '',
  writers: [],
};

export type Verdict =
  | { readonly type: 'void'; readonly reason: string; readonly writer: number }
  | { readonly type: 'genesis'; readonly message: Message }
  | { readonly type: 'open'; readonly writer: number; readonly message: Message }
  | { readonly type: 'mark'; readonly message: Message }
  /** `body`: the slots of `message.live + message.bulk` valid events. */
  | { readonly type: 'frame'; readonly message: Message; readonly body: Uint8Array };

/** What a writer's claim about a position says of this instance. */
export type Claim = 'same' | 'other' | 'unknown';

export class ReplicaState {
  readonly writers: WriterTable;
  #position: number;
  #crc: number;
  #chain: number;
  #cluster: string;
  /** Whether the chain is not known while messages are taken that the local log has already. */
  isRebuilding = false;
  readonly #chainAt = new Float64Array(CHAINS_KEPT).fill(-1);
  readonly #chains = new Uint32Array(CHAINS_KEPT);

  constructor(record: ReplicaRecord = EMPTY_REPLICA) {
    this.#position = record.position;
    this.#crc = record.crc;
    this.#chain = record.chain;
    this.#cluster = record.cluster;
    this.writers = new WriterTable(record.writers);
    this.#remember();
  }

  get position(): number {
    return this.#position;
  }

  get crc(): number {
    return this.#crc;
  }

  get cluster(): string {
    return this.#cluster;
  }

  get chain(): number {
    return this.#chain;
  }

  /** Puts a chain that was found otherwise (in the local log) in the place of the one at the position. */
  set chain(chain: number) {
    this.#chain = chain;
    this.#remember();
  }

  record(nextSeq: number): ReplicaRecord {
    return {
      position: this.#position,
      crc: this.#crc,
      nextSeq,
      chain: this.#chain,
      cluster: this.#cluster,
      writers: this.writers.records,
    };
  }

  /**
   * Judges the message at `position`, which must be the next one: a gap would be an event that is lost
   * here and nowhere else. Throws NewerFormatError.
   */
  take(position: number, bytes: Uint8Array): Verdict {
    if (position !== this.#position + 1) {
      throw new Error(`position ${position} came behind ${this.#position}`);
    }
    const message = unpackMessage(bytes);
    this.#position = position;
    this.#crc = headerCrc(bytes);
    this.#remember();
    if (typeof message === 'string') return { type: 'void', reason: message, writer: 0 };
    return this.#judge(position, message);
  }

  /** Chains what became of the message just taken: `kept` slots, numbered from `firstSeq` on. */
  note(firstSeq: number, kept: number, slots: Uint8Array): void {
    this.#chain = chainAfter(this.#chain, this.#position, firstSeq, kept, slots);
    this.#remember();
  }

  /** Compares what a message says of its writer's state with this one's at the same place. */
  claim({ seen, chain }: Message): Claim {
    const at = seen % CHAINS_KEPT;
    if (seen === 0 || this.#chainAt[at] !== seen) return 'unknown';
    return this.#chains[at] === chain ? 'same' : 'other';
  }

  #judge(position: number, message: Message): Verdict {
    const { kind, writer, n } = message;
    const isVoid = (reason: string): Verdict => ({ type: 'void', reason, writer });
    if (kind === KIND_GENESIS) {
      if (position !== 1) return isVoid('the cluster has begun before');
      this.#cluster = message.cluster.toString('hex');
      return { type: 'genesis', message };
    }
    if (message.cluster.toString('hex') !== this.#cluster) return isVoid('of another cluster');
    if (kind === KIND_OPEN) {
      this.writers.open(position, message.supersedes);
      return { type: 'open', writer: position, message };
    }
    if (kind === KIND_MARK) {
      return this.writers.has(writer) ? { type: 'mark', message } : isVoid('unknown writer');
    }
    if (kind !== KIND_EVENTS) return isVoid(`of unknown kind ${kind}`);
    // Before it counts: a damaged one can be sent again.
    const body = eventsOf(message);
    if (typeof body === 'string') return isVoid(body);
    if (this.writers.take(writer, n, position)) return { type: 'frame', message, body };
    return isVoid(`frame ${n} of writer ${writer}, not ${this.writers.nextOf(writer)}`);
  }

  #remember(): void {
    if (this.isRebuilding) return;
    const at = this.#position % CHAINS_KEPT;
    this.#chainAt[at] = this.#position;
    this.#chains[at] = this.#chain;
  }
}

/** The slots of a message, or why they are none. Throws NewerFormatError for events of later versions. */
function eventsOf(message: Message): Uint8Array | string {
  const count = message.live + message.bulk;
  if (count < 1 || count > MESSAGE_SLOTS_MAX) return `it claims ${count} events`;
  const body = bodyOf(message);
  if (typeof body === 'string') return body;
  if (body.length !== count * SLOT_BYTES) return `${count} events in ${body.length} bytes`;
  const words = Buffer.from(body.buffer, body.byteOffset, body.length);
  for (let i = 0; i < count; i++) {
    const meta = words.readInt32LE(i * SLOT_BYTES + SLOT_META * 4);
    if (!isMetaValid(meta)) throw new NewerFormatError('with an event of a later version');
  }
  return body;
}

/** The chain behind a message of whose slots `kept` were kept, numbered as on disk, from `firstSeq` on. */
export function chainAfter(
  chain: number,
  position: number,
  firstSeq: number,
  kept: number,
  slots: Uint8Array,
): number {
  const head = Buffer.from(new Float64Array([position, firstSeq, kept]).buffer);
  return crc32(slots, crc32(head, chain));
}
