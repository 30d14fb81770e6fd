/**
 * What goes between the main thread and the others that serve HTTP: what such a thread is given, what either
 * asks the other (line.ts). Types only; all of it survives structured cloning.
 */
import type { Config } from '../config/schema.ts';
import type { HistoryAsk, Placed } from '../history/history-messages.ts';
import type { LoadedTls } from '../http/connection/tls-files.ts';
import type { LetterView, RedriveEnd } from '../http/seams/dead-letters.ts';
import type { TakenProfile } from '../http/seams/profiles.ts';
import type { HealthCheck } from '../lifecycle.ts';
import type { RateMemory } from '../limits/rate-limits.ts';
import type { HeldFolder } from '../log/held-files.ts';
import type { ExpositionForm } from '../metrics/exposition.ts';
import type { SeriesByMetric } from '../metrics/series.ts';
import type { ThreadTracing } from '../tracing/tracing.ts';
import type { ProducerOptions } from '../write-path/producer.ts';

/** What all threads that serve HTTP have alike beside the write path's memory. */
export interface HttpMemory {
  /** service-state.ts */
  readonly state: SharedArrayBuffer;
  /** limits/open-counts.ts */
  readonly open: SharedArrayBuffer;
  /** health/heartbeats.ts */
  readonly beats: SharedArrayBuffer;
  readonly rates: RateMemory;
  /** What the places of products are called (http/requests/page-cursor.ts). */
  readonly placesName: string;
}

export interface Address {
  readonly host: string;
  readonly port: number;
}

/** What a thread is started with. */
export interface HttpThreadData {
  /** It says which thread this is, too. */
  readonly producer: ProducerOptions;
  readonly config: Config;
  readonly memory: HttpMemory;
  readonly address: Address;
  readonly logFolder: string;
  /** The data folder that it lies in. */
  readonly held: HeldFolder;
  /** history/history-control.ts; `undefined` = HISTORY is off. */
  readonly history: SharedArrayBuffer | undefined;
  /** How traces are recorded; `undefined` = they are not. */
  readonly tracing: ThreadTracing | undefined;
  /** What was replayed, if the log serves by now. */
  readonly replayedSeq: number | undefined;
}

/** What the main thread answers. */
export interface MainAnswers {
  /** A line of the log, as pino made it, and its level. */
  log(level: number, line: string): void;
  /** It listens. */
  listening(): void;
  checks(): readonly HealthCheck[];
  history(ask: HistoryAsk): Promise<Placed<unknown>>;
  letters(
    after: number,
    limit: number,
    filter: { readonly source?: string | undefined; readonly productId?: string | undefined },
  ): Promise<readonly LetterView[]>;
  redrive(id: number): Promise<RedriveEnd | undefined>;
  removeLetter(id: number): Promise<boolean>;
  /** `number` is the thread's own, for `endProfile`. */
  profile(kind: 'cpu' | 'heap', ms: number, number: number): Promise<TakenProfile>;
  /** Nobody waits for that profile any more. */
  endProfile(number: number): void;
  metrics(form: ExpositionForm): Promise<string>;
  snapshot(): Promise<string>;
  /** A batch comes under `key`; what it resolves to is for `endKey`, `undefined` if another one has it. */
  beginKey(key: string): Promise<number | undefined>;
  endKey(number: number): void;
  /** A batch finds no place: takes one from the slowest upload; resolves to whether one may be free now. */
  makeRoom(): Promise<boolean>;
}

/** What a thread answers. */
export interface ThreadAnswers {
  /** The log is replayed up to this event: takes events from now on. */
  open(replayedSeq: number): void;
  storageAvailable(available: boolean): void;
  /** One sentence; `undefined` = nobody is stalled. */
  stalled(text: string | undefined): void;
  useTls(tls: LoadedTls): void;
  /** Resolves when it listens no more. */
  stopListening(): Promise<void>;
  /** Says goodbye to its clients and takes no more events; resolves when all that were claimed are settled. */
  drain(): Promise<void>;
  /** The log gave up: whoever waits hears that the outcome is unknown. Returns on how many events. */
  failAll(): number;
  /** Nothing more is applied. */
  closeChanges(): void;
  /** Resolves to whether all connections ended by themselves within this time. */
  endConnections(timeoutMs: number): Promise<boolean>;
  /** The last thing that it is asked. */
  close(): Promise<void>;
  /** How late its slowest upload is whose place may be taken; `undefined` = all keep theirs. */
  latestUploadMs(): number | undefined;
  /** Takes the place from that one; resolves when it is free, to whether there was one. */
  takePlace(): Promise<boolean>;
  /** What it counted. */
  series(): Promise<SeriesByMetric>;
}
