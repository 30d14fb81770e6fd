/**
 * This instance as one that writes to the stream: opens, proposes what is pending, sends again, says where it
 * is. Log thread. What becomes of its messages is replicated-log.ts's, which has the whole story.
 *
 *   closed ── OPEN sent, again and again ──▶ open ── void: superseded, or had to make room ──▶ closed
 *
 * A writer is the position of its OPEN. `former` is the one that a thread before this was: its frames may
 * still come, and are this instance's, until the new OPEN does, which supersedes it.
 */
import { randomBytes } from 'node:crypto';
import {
  KIND_EVENTS,
  KIND_MARK,
  KIND_OPEN,
  type Message,
  NONCE_BYTES,
  PLAIN_HEAD,
  packMessage,
} from './message.ts';
import type { OwnSlots } from './own-slots.ts';
import { PROBE_MS, Proposer, RESEND_MS } from './proposer.ts';
import type { ReplicaState } from './replica-state.ts';

/** How often an instance says where it is, when others' events have come and none of its own. */
const MARK_EVERY_MS = 1000;
/** Nothing came back for so long: no more writes are taken in. */
const STUCK_MS = 2000;
const NO_BODY = new Uint8Array(0);

export interface OwnWriterOptions {
  readonly publish: (message: Uint8Array) => boolean;
  readonly slots: OwnSlots;
  readonly state: ReplicaState;
  /** The cluster's id: CLUSTER_BYTES. */
  readonly cluster: Buffer;
  readonly nowMs: () => number;
  /** A clock that never goes back, ms. */
  readonly monotonicMs: () => number;
}

export class OwnWriter {
  readonly #options: OwnWriterOptions;
  readonly #proposer: Proposer;
  /** As the stream knows it; 0 = its OPEN has not come back. */
  #writer = 0;
  #former: number;
  #nonce = randomBytes(NONCE_BYTES);
  #openSentMs = Number.NEGATIVE_INFINITY;
  #chainSaid: number;
  #markedMs: number;

  constructor(options: OwnWriterOptions, former: number) {
    this.#options = options;
    this.#former = former;
    this.#proposer = new Proposer(options.publish, options.monotonicMs);
    this.#chainSaid = options.state.chain;
    this.#markedMs = options.monotonicMs();
  }

  get isOpen(): boolean {
    return this.#writer !== 0;
  }

  /** For the record of progress: whose frames a successor has to take for its own. */
  get last(): number {
    return this.#writer === 0 ? this.#former : this.#writer;
  }

  /** Whether a message comes from this writer as it is now. */
  isBy({ writer }: Pick<Message, 'writer'>): boolean {
    return writer !== 0 && writer === this.#writer;
  }

  /** Whether a frame's slots are this instance's. */
  isOwn({ writer }: Message): boolean {
    return writer !== 0 && (writer === this.#writer || writer === this.#former);
  }

  /** Whether it waits too long for what it sent. */
  get isStuck(): boolean {
    const since = this.#proposer.stuckSinceMs;
    return since !== undefined && this.#options.monotonicMs() - since > STUCK_MS;
  }

  /** How long it may sleep when nothing rings. */
  get dueInMs(): number {
    return this.#writer === 0 ? PROBE_MS : Math.min(this.#proposer.dueInMs, MARK_EVERY_MS);
  }

  /** Sends what is due; whether any of it was new events. */
  propose(): boolean {
    if (this.#writer === 0) {
      this.#sendOpen();
      return false;
    }
    this.#proposer.resend();
    let sent = false;
    while (this.#proposer.hasRoom) {
      const taken = this.#options.slots.takeNext(this.#proposer.next);
      if (taken === undefined) break;
      const { body, live, bulk } = taken;
      this.#proposer.send(this.#pack(KIND_EVENTS, { n: this.#proposer.next, live, bulk }, body));
      sent = true;
    }
    if (!sent && this.#proposer.isEmpty) this.#mark();
    return sent;
  }

  /** An OPEN has come; true if it is this instance's: all that is not settled is pending again. */
  opened(writer: number, { nonce, supersedes }: Message): boolean {
    if (this.#writer === 0 && nonce.equals(this.#nonce)) {
      this.#writer = writer;
      this.#former = 0;
      this.#proposer.reset();
      this.#options.slots.rewind();
      return true;
    }
    if (supersedes === this.#writer && this.#writer !== 0) this.#reopen();
    else this.check();
    return false;
  }

  /** Begins anew if the stream knows this writer no more. */
  check(): void {
    if (this.#writer !== 0 && !this.#options.state.writers.has(this.#writer)) this.#reopen();
  }

  /** An own frame was taken. */
  seen({ writer, n }: Message): void {
    if (writer === this.#writer) this.#proposer.seen(n);
  }

  /** The chain is another one than was thought. */
  corrected(): void {
    this.#chainSaid = this.#options.state.chain;
  }

  /** Says where this instance is, so that others' and its own chain can be compared. */
  #mark(): void {
    const now = this.#options.monotonicMs();
    const isSaid = this.#chainSaid === this.#options.state.chain;
    if (isSaid || now - this.#markedMs < MARK_EVERY_MS) return;
    this.#markedMs = now;
    this.#options.publish(this.#pack(KIND_MARK, {}, NO_BODY));
  }

  #sendOpen(): void {
    const now = this.#options.monotonicMs();
    if (now - this.#openSentMs < RESEND_MS) return;
    this.#openSentMs = now;
    const head = { nonce: this.#nonce, supersedes: this.#former };
    this.#options.publish(this.#pack(KIND_OPEN, head, NO_BODY));
  }

  #reopen(): void {
    this.#writer = 0;
    this.#nonce = randomBytes(NONCE_BYTES);
    this.#openSentMs = Number.NEGATIVE_INFINITY;
    this.#proposer.reset();
  }

  #pack(
    kind: number,
    head: Partial<Pick<Message, 'n' | 'live' | 'bulk' | 'nonce' | 'supersedes'>>,
    body: Uint8Array,
  ): Buffer {
    const { cluster, nowMs, state } = this.#options;
    this.#chainSaid = state.chain;
    return packMessage(
      {
        ...PLAIN_HEAD,
        writer: this.#writer,
        seen: state.position,
        chain: state.chain,
        madeAtMs: nowMs(),
        kind,
        cluster,
        ...head,
      },
      body,
    );
  }
}
