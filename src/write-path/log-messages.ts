/** What the log thread is given, and what it reports. Survives structured cloning. */
import type { HeldFolder } from '../log/held-files.ts';
import type { RecoveryMessage } from '../recovery/recovery-messages.ts';
import type { StreamMemory } from '../replication/stream-memory.ts';
import type { SharedMemory } from '../threads/shared-memory.ts';

/** What the log thread is started with. */
export interface LogThreadData {
  readonly memory: SharedMemory;
  /** Folder of the segments; it exists. */
  readonly folder: string;
  /** Folder of the checkpoints; it exists. */
  readonly checkpoints: string;
  readonly segmentBytesMax: number;
  /** The data folder that both lie in, where it is held and looked after. */
  readonly held?: HeldFolder | undefined;
}

/** What the thread of a replicated log is started with. */
export interface ReplicatedLogThreadData extends LogThreadData {
  /** The data folder, where it keeps what it knows of the stream. */
  readonly root: string;
  readonly stream: StreamMemory;
  /** The cluster's id, in hexadecimal. */
  readonly cluster: string;
  readonly dedupeEvents: number;
  /** Whether it never writes to the stream. */
  readonly isReader: boolean;
}

/** What the log thread reports to the main thread. */
export type LogThreadMessage =
  | RecoveryMessage
  /** The intake is being served; said again by a successor. */
  | { readonly type: 'serving'; readonly nextSeq: number }
  /** The log goes on from a time that the machine's clock has not reached. */
  | { readonly type: 'clock-behind'; readonly lastTimeMs: number; readonly behindMs: number }
  /** The log can't be written any more, or can again. */
  | { readonly type: 'storage'; readonly available: boolean; readonly reason: string }
  /** Only the data of another instance brings this one further. */
  | { readonly type: 'overtaken'; readonly reason: string }
  /** A message of a replicated log's stream does not count. */
  | { readonly type: 'void'; readonly position: number; readonly reason: string }
  /** The start is refused; the thread ends. One line, meant for the operator. */
  | { readonly type: 'refused'; readonly reason: string }
  /** Asked to stop, and done; `clean` unless events were given up on because of a failing disk. */
  | { readonly type: 'closed'; readonly clean: boolean };
