/**
 * Single events in the form that programs send: their bodies are taken whole, parsed by the batches' parser and
 * offered in the same turn, past Fastify's body, JSON.parse and the schema. Whatever is unusual (other media
 * types, a query that is wrong, a body in pieces, everything that is not in the hot form) goes Fastify's way,
 * which says the same about what is not. Main thread; the hot path.
 */
import type { FastifyReply, FastifyRequest } from 'fastify';
import { SINGLE_EVENT_BYTES_MAX, SingleEventParser } from '../../bulk/single-event.ts';
import type { FullEvent } from '../../event/product-event.ts';
import { ACK_LEVELS, type AckLevel } from '../../intake/event-intake.ts';
import { type BodyTaker, ServiceRequest } from '../connection/service-request.ts';
import type { EventOffers } from '../writes/event-offers.ts';

export interface HotEventsOptions {
  /** The least stock that an event may set. */
  readonly stockMin: number;
  /** Largest body accepted, in bytes. */
  readonly bodyBytesMax: number;
  readonly offers: EventOffers;
}

/** Goes on as Fastify would, or answers the error. */
type Done = (error?: Error | null) => void;

/** JSON as clients mostly name it; `refusedMedia` and Fastify read all other ways. */
const PLAIN_TYPES: ReadonlySet<string | undefined> = new Set([
  'application/json',
  'application/json; charset=utf-8',
  'application/json;charset=utf-8',
  'application/json; charset=UTF-8',
  'application/json;charset=UTF-8',
]);

export class HotEvents {
  readonly #parser: SingleEventParser;
  readonly #offers: EventOffers;
  readonly #bytesMax: number;

  constructor({ stockMin, bodyBytesMax, offers }: HotEventsOptions) {
    this.#parser = new SingleEventParser(stockMin);
    this.#offers = offers;
    this.#bytesMax = Math.min(bodyBytesMax, SINGLE_EVENT_BYTES_MAX);
  }

  /**
   * Whether `request`, which its route's guards have let in, waits for its body here. Then `reply` will be
   * answered, or `done` called.
   */
  takes(request: FastifyRequest, reply: FastifyReply, done: Done): boolean {
    const { raw, headers } = request;
    const bytes = Number(headers['content-length']);
    if (!(raw instanceof ServiceRequest) || !(bytes > 0 && bytes <= this.#bytesMax)) return false;
    if (!PLAIN_TYPES.has(headers['content-type']) || headers.expect !== undefined) return false;
    const ack = askedOf(request.query);
    if (ack === 'unknown') return false;
    return raw.offerWhole(
      bytes,
      new HotEvent(this.#parser, this.#offers, request, reply, ack, done),
    );
  }
}

/** What a query asks for, where it is one of `writeQuery`; `unknown`: for the schema to say. */
function askedOf(query: unknown): AckLevel | undefined | 'unknown' {
  let ack: AckLevel | undefined;
  for (const name in query as Record<string, unknown>) {
    const value = (query as Record<string, unknown>)[name];
    if (name !== 'ack' || !ACK_LEVELS.includes(value as AckLevel)) return 'unknown';
    ack = value as AckLevel;
  }
  return ack;
}

/** One request, from its headers to its offer. */
class HotEvent implements BodyTaker {
  readonly #parser: SingleEventParser;
  readonly #offers: EventOffers;
  readonly #request: FastifyRequest;
  readonly #reply: FastifyReply;
  readonly #ack: AckLevel | undefined;
  readonly #done: Done;
  #event: FullEvent | undefined;
  #eventId: string | undefined;

  constructor(
    parser: SingleEventParser,
    offers: EventOffers,
    request: FastifyRequest,
    reply: FastifyReply,
    ack: AckLevel | undefined,
    done: Done,
  ) {
    this.#parser = parser;
    this.#offers = offers;
    this.#request = request;
    this.#reply = reply;
    this.#ack = ack;
    this.#done = done;
  }

  reads(body: Buffer): boolean {
    this.#event = this.#parser.parse(body, Date.now());
    this.#eventId = this.#parser.eventId;
    return this.#event !== undefined;
  }

  taken(): void {
    const event = this.#event;
    if (event === undefined) return;
    try {
      this.#offers.submit(this.#request, this.#reply, event, this.#ack, this.#eventId);
    } catch (error) {
      // As Fastify does with what a handler throws; here it would be thrown into Node's parser.
      this.#done(error instanceof Error ? error : new Error(String(error)));
    }
  }

  left(): void {
    this.#done();
  }
}
