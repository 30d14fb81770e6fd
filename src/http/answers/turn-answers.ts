/**
 * Sends the answers of one turn of the event loop together, at its end. Main thread; the hot path.
 *
 *   poll    read · answer prepared, read · answer prepared, …
 *   check   write, write, …
 *
 * Written one by one, each answer wakes its client while the next request is read, and with both on busy
 * cores that is most of what a read costs (an interrupt to another core, a switch there); together, the first
 * one wakes the client and the others find it at work. A client that is alone waits for nothing: with no
 * other request to be read, the end of the turn is next.
 */
import type { ServiceResponse } from '../connection/service-response.ts';

export class TurnAnswers {
  /** In the order they came, with their texts. */
  #responses: ServiceResponse[] = [];
  #texts: string[] = [];
  readonly #onTurn = () => this.#endAll();

  /** Ends `response`, whose head is there (`ServiceResponse.begin`), with `text` in this turn. */
  end(response: ServiceResponse, text: string): void {
    if (this.#responses.length === 0) setImmediate(this.#onTurn);
    this.#responses.push(response);
    this.#texts.push(text);
  }

  #endAll(): void {
    const responses = this.#responses;
    const texts = this.#texts;
    this.#responses = [];
    this.#texts = [];
    for (let i = 0; i < responses.length; i++) responses[i].endText(texts[i]);
  }
}
