/**
 * The seam between the log thread and the stream: what it publishes, and what the stream holds, in order.
 * Synchronous, so that tests can put a simulated stream here. Types only.
 */

/** A message as the stream has it. */
export interface Delivered {
  /** Its place in the stream, 1 … */
  readonly position: number;
  /** Valid until the next call. */
  readonly bytes: Uint8Array;
}

/** How the stream is, as far as the port knows. */
export type StreamHealth =
  /** It can be written and read, as far as is known. */
  | { readonly type: 'up' }
  /** It can be read, and takes nothing that is sent to it: it is full, or sealed. */
  | { readonly type: 'refusing'; readonly reason: string }
  /** It can't be reached; messages may be lost. */
  | { readonly type: 'down'; readonly reason: string }
  /** It no longer has what this instance lacks: it must take over another one's data. */
  | { readonly type: 'overtaken'; readonly reason: string }
  /** It is not the stream that this instance followed: nothing of it may be taken. */
  | { readonly type: 'forked'; readonly reason: string };

export interface StreamPort {
  /**
   * Sends a message towards the stream. Nobody answers: it was stored once it comes back by `take`, and
   * whoever doubts sends it again. False where there is no room just now.
   */
  publish(message: Uint8Array): boolean;
  /** The next message, in unbroken order from where `follow` said; `undefined` when there is none yet. */
  take(): Delivered | undefined;
  /** Messages are wanted from behind `position` on, where the message had this header's CRC (0 = any). */
  follow(position: number, crc: number): void;
  health(): StreamHealth;
  /** The last position of the stream, as far as is known; 0 = nothing is. */
  readonly newest: number;
}
