/** The messages between the main thread and the thread of the dead letters. Survives structured cloning. */
import type { LetterFilter, NewLetter } from './dead-letters.ts';

export interface DeskThreadData {
  readonly path: string;
  readonly lettersMax: number;
}

export type DeskCall =
  | { readonly name: 'put'; readonly letter: NewLetter }
  | {
      readonly name: 'list';
      readonly after: number;
      readonly limit: number;
      readonly filter: LetterFilter;
    }
  | { readonly name: 'get' | 'remove'; readonly id: number }
  | { readonly name: 'count' };

export interface DeskQuestion {
  readonly id: number;
  readonly call: DeskCall;
}

export interface DeskAnswer {
  readonly id: number;
  readonly result?: unknown;
  /** Why there is none. */
  readonly error?: string;
}
