/** What a sink's thread is given, and the messages between it and the main thread. Survives structured cloning. */

import type { SinkTarget } from '../config/sinks.ts';
import type { SharedMemory } from '../threads/shared-memory.ts';
import type { SinkOptions } from './sink.ts';
import type { SinkLimits } from './sink-runner.ts';
import type { Timeline } from './timeline.ts';

export interface SinkThreadData {
  readonly memory: SharedMemory;
  readonly name: string;
  readonly target: SinkTarget;
  readonly options: SinkOptions;
  readonly limits: SinkLimits;
  readonly deadLetters: { readonly path: string; readonly lettersMax: number };
  readonly stats: SharedArrayBuffer;
  /** Whether other instances of a cluster write to it, too, one at a time. */
  readonly isShared: boolean;
  /** Which run of the service committed which events; empty in a cluster. */
  readonly timeline: Timeline;
}

/** What became of a product's present state when it was written again. */
export type RowRedrive = 'written' | 'refused';

/**
 * To the sink's thread. `drain`: write what is left and end; `stop`: end; `held`: the answer to `opened`; `compare`: its
 * rows have to be compared with the store; `redrive`: write a product again.
 */
export type SinkOrder =
  | { readonly type: 'drain' }
  | { readonly type: 'stop' }
  | { readonly type: 'held'; readonly comparison: number | undefined }
  | { readonly type: 'compare'; readonly comparison: number }
  | { readonly type: 'redrive'; readonly id: number; readonly productId: string };

/**
 * From it: a line for the log; that it was opened, where, and waits for `held`; that its rows were compared, by the
 * number that the order had; the answer to a redrive.
 */
export type SinkReport =
  | {
      readonly type: 'report';
      readonly level: 'info' | 'warn' | 'error';
      readonly text: string;
    }
  | { readonly type: 'opened'; readonly position: number }
  | { readonly type: 'compared'; readonly comparison: number }
  | { readonly type: 'redriven'; readonly id: number; readonly status: RowRedrive };
