/** What a sink's thread is given, and what it and the main thread tell each other. Survives structured cloning. */

import type { SinkTarget } from '../config/sinks.ts';
import type { SharedMemory } from '../threads/shared-memory.ts';
import type { SinkOptions } from './sink.ts';
import type { SinkLimits } from './sink-runner.ts';

export interface SinkThreadData {
  readonly memory: SharedMemory;
  readonly name: string;
  readonly target: SinkTarget;
  readonly options: SinkOptions;
  readonly limits: SinkLimits;
  readonly deadLetters: { readonly path: string; readonly lettersMax: number };
  readonly stats: SharedArrayBuffer;
  /** The least position, but 0, from which it may go on (followed-sinks.ts). */
  readonly leastPosition: number;
}

/** What became of a product's present state when it was written again. */
export type RowRedrive = 'written' | 'refused';

/** To the sink's thread. `drain`: write what is left and end; `stop`: end; `redrive`: write a product again. */
export type SinkOrder =
  | { readonly type: 'drain' }
  | { readonly type: 'stop' }
  | { readonly type: 'redrive'; readonly id: number; readonly productId: string };

/** From it: a line for the log, that it was opened and may go on, or the answer to a redrive. */
export type SinkReport =
  | {
      readonly type: 'report';
      readonly level: 'info' | 'warn' | 'error';
      readonly text: string;
    }
  | { readonly type: 'opened' }
  | { readonly type: 'redriven'; readonly id: number; readonly status: RowRedrive };
