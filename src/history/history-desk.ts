/** The reading thread's end of the questions: one at a time, in the order in which they come. */
import type { MessagePort } from 'node:worker_threads';
import type { HistoryAsk } from './history-messages.ts';
import { HistoryReader } from './history-reader.ts';

export interface DeskQuestion {
  readonly ticket: number;
  readonly ask: HistoryAsk;
}

export interface DeskAnswer {
  readonly ticket: number;
  /** As the ask's kind says; `undefined` with an `error`. */
  readonly answer?: unknown;
  readonly error?: string;
}

/** Answers what comes through `port` from the file at `path`, until the port is closed. */
export function answerHistory({ path }: { readonly path: string }, port: MessagePort): void {
  let reader: HistoryReader | undefined;
  port.on('message', ({ ticket, ask }: DeskQuestion) => {
    try {
      reader ??= new HistoryReader(path);
      port.postMessage({ ticket, answer: reader.answer(ask) } satisfies DeskAnswer);
    } catch (error) {
      // The file may have been removed or replaced: the next one opens it anew.
      reader?.close();
      reader = undefined;
      const text = error instanceof Error ? error.message : String(error);
      port.postMessage({ ticket, error: text } satisfies DeskAnswer);
    }
  });
  port.once('close', () => reader?.close());
}
