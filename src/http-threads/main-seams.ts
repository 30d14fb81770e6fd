/**
 * The seams of HTTP for what only the main thread has, in another thread that serves HTTP: each asks over the
 * line. The answering side is main-desk.ts.
 */
import { HistoryControl } from '../history/history-control.ts';
import type { HistoryAnswers, HistoryAsk, Placed } from '../history/history-messages.ts';
import type { DeadLetterBox } from '../http/seams/dead-letters.ts';
import type { Figures } from '../http/seams/figures.ts';
import type { History } from '../http/seams/history.ts';
import type { Profiles, TakenProfile } from '../http/seams/profiles.ts';
import type { BatchKeysRunning } from '../http/seams/running-keys.ts';
import type { UploadPlaces } from '../http/seams/upload-places.ts';
import { SeqWatch } from '../ring/seq-watch.ts';
import type { Line } from './line.ts';
import type { MainAnswers, ThreadAnswers } from './thread-messages.ts';

export type MainLine = Line<ThreadAnswers, MainAnswers>;

/** `buffer`: the history's control words, which say how far it is. */
export function historyOf(line: MainLine, buffer: SharedArrayBuffer): History {
  const control = new HistoryControl(buffer);
  return {
    progress: new SeqWatch(control.words, control.bell, () => control.place),
    ask: async <K extends HistoryAsk['kind']>(ask: HistoryAsk & { readonly kind: K }) =>
      (await line.ask('history', ask)) as Placed<HistoryAnswers[K]>,
  };
}

export function deadLettersOf(line: MainLine): DeadLetterBox {
  return {
    list: (after, limit, filter) => line.ask('letters', after, limit, filter),
    redrive: (id) => line.ask('redrive', id),
    remove: (id) => line.ask('removeLetter', id),
  };
}

export function profilesOf(line: MainLine): Profiles {
  let numbers = 0;
  const take = async (kind: 'cpu' | 'heap', ms: number, signal: AbortSignal) => {
    const number = numbers++;
    const end = () => line.tell('endProfile', number);
    signal.addEventListener('abort', end, { once: true });
    try {
      return await (line.ask('profile', kind, ms, number) as Promise<TakenProfile>);
    } finally {
      signal.removeEventListener('abort', end);
    }
  };
  return {
    cpu: (ms, signal) => take('cpu', ms, signal),
    heap: (ms, signal) => take('heap', ms, signal),
  };
}

export function figuresOf(line: MainLine): Figures {
  return { text: (form) => line.ask('metrics', form), snapshot: () => line.ask('snapshot') };
}

export function runningKeysOf(line: MainLine): BatchKeysRunning {
  return {
    begin: async (key) => {
      const number = await line.ask('beginKey', key);
      return number === undefined ? undefined : () => line.tell('endKey', number);
    },
  };
}

export function uploadPlacesOf(line: MainLine): UploadPlaces {
  // Where the main thread is no more, there is nothing to wait for.
  return { makeRoom: () => line.ask('makeRoom').catch(() => false) };
}
