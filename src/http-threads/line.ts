/**
 * A line between two threads: either end asks the other by name and is answered, or tells it something. Either
 * thread; nothing blocks. What is asked goes by in the order in which it was asked, answers as they come.
 *
 * What both may ask stands as types in thread-messages.ts. An error is answered as its name and message.
 */

/** What an end answers, by name; arguments and answers survive structured cloning. */
type Answers<Names> = { readonly [Name in keyof Names]: Answer };
// biome-ignore lint/suspicious/noExplicitAny: the one type that every function is of.
type Answer = (...args: any[]) => unknown;

/** Either end of a port, or a Worker. */
export interface LineEnd {
  postMessage(message: unknown): void;
  on(event: 'message', listener: (message: LineMessage) => void): unknown;
}

export type LineMessage =
  | {
      readonly type: 'ask';
      readonly ticket: number;
      readonly name: string;
      readonly args: unknown[];
    }
  | { readonly type: 'tell'; readonly name: string; readonly args: unknown[] }
  | { readonly type: 'answer'; readonly ticket: number; readonly value: unknown }
  | {
      readonly type: 'failed';
      readonly ticket: number;
      readonly error: { readonly name: string; readonly message: string };
    };

/** The other end is no more. */
export class LineClosedError extends Error {
  override readonly name = 'LineClosedError';
}

export class Line<Mine extends Answers<Mine>, Theirs extends Answers<Theirs>> {
  readonly #end: LineEnd;
  readonly #own: ReadonlyMap<string, Answer>;
  readonly #waiting = new Map<number, PromiseWithResolvers<never>>();
  #tickets = 0;
  #isClosed = false;

  /** Answers with `own` from now on. */
  constructor(end: LineEnd, own: Mine) {
    this.#end = end;
    this.#own = new Map(Object.entries<Answer>(own));
    end.on('message', (message) => this.#onMessage(message));
  }

  /** Rejects with what the other end's function throws, or LineClosedError. */
  ask<K extends keyof Theirs & string>(
    name: K,
    ...args: Parameters<Theirs[K]>
  ): Promise<Awaited<ReturnType<Theirs[K]>>> {
    const answer = Promise.withResolvers<never>();
    if (this.#isClosed) answer.reject(new LineClosedError(`${name} is not answered any more`));
    else {
      const ticket = this.#tickets++;
      this.#waiting.set(ticket, answer);
      this.#end.postMessage({ type: 'ask', ticket, name, args });
    }
    return answer.promise;
  }

  /** The same without an answer. */
  tell<K extends keyof Theirs & string>(name: K, ...args: Parameters<Theirs[K]>): void {
    if (!this.#isClosed) this.#end.postMessage({ type: 'tell', name, args });
  }

  /** The other end is no more: whoever waits for it is told. */
  close(): void {
    this.#isClosed = true;
    for (const { reject } of this.#waiting.values())
      reject(new LineClosedError('the thread ended'));
    this.#waiting.clear();
  }

  #onMessage(message: LineMessage): void {
    switch (message.type) {
      case 'tell':
        this.#own.get(message.name)?.(...message.args);
        break;
      case 'ask':
        void this.#answer(message.ticket, message.name, message.args);
        break;
      case 'answer':
        this.#settled(message.ticket)?.resolve(message.value as never);
        break;
      case 'failed': {
        const { name, message: text } = message.error;
        this.#settled(message.ticket)?.reject(Object.assign(new Error(text), { name }));
        break;
      }
    }
  }

  async #answer(ticket: number, name: string, args: unknown[]): Promise<void> {
    try {
      const value = await this.#own.get(name)?.(...args);
      this.#end.postMessage({ type: 'answer', ticket, value });
    } catch (error) {
      const { name: kind, message } = error instanceof Error ? error : new Error(String(error));
      this.#end.postMessage({ type: 'failed', ticket, error: { name: kind, message } });
    }
  }

  #settled(ticket: number): PromiseWithResolvers<never> | undefined {
    const waiting = this.#waiting.get(ticket);
    this.#waiting.delete(ticket);
    return waiting;
  }
}
