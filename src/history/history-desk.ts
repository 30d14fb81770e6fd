/** The reading thread's end of the questions. */
import type { MessagePort } from 'node:worker_threads';
import { HistoryControl } from './history-control.ts';
import type { HistoryAsk, HistoryDeskData } from './history-messages.ts';
import { HistoryReader } from './history-reader.ts';
import { type HistoryReads, type HistoryTarget, textOfError } from './history-store.ts';

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

/** Answers what comes through `port`, until it is closed. */
export async function answerHistory(data: HistoryDeskData, port: MessagePort): Promise<void> {
  const { target } = data;
  const control = new HistoryControl(data.control);
  const reader = new HistoryReader(await readsOf(target));
  const answer = async ({ ticket, ask }: DeskQuestion): Promise<DeskAnswer> => {
    // Before that it may be the history of another data folder, or of a later state of this one.
    if (target.kind === 'postgres' && !control.isOpened) {
      return { ticket, error: 'the history is not open yet' };
    }
    try {
      return { ticket, answer: await reader.answer(ask) };
    } catch (error) {
      return { ticket, error: textOfError(error) };
    }
  };
  port.on('message', (question: DeskQuestion) => {
    void answer(question).then((found) => port.postMessage(found));
  });
  port.once('close', () => void reader.close());
}

/** Only the client that is needed is loaded. */
async function readsOf(target: HistoryTarget): Promise<HistoryReads> {
  if (target.kind === 'file') {
    const { SqliteReads } = await import('./sqlite/sqlite-reads.ts');
    return new SqliteReads(target.path);
  }
  const { PostgresReads } = await import('./postgres/postgres-reads.ts');
  return new PostgresReads(target);
}
