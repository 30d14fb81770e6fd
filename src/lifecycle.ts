/**
 * Where the service is in its life; written by `service.ts`, read by the routes.
 * starting → ready → draining (DRAIN_DELAY: still serves, no longer ready) → stopping → stopped.
 */
export type Phase = 'starting' | 'ready' | 'draining' | 'stopping' | 'stopped';

/** One part of readiness; `detail` is for people. */
export interface HealthCheck {
  /** `http` with several threads that serve it only, `history` with HISTORY, `sink NAME` for each sink. */
  readonly name:
    | 'log'
    | 'appliers'
    | 'http'
    | 'store'
    | 'disk'
    | 'replay'
    | 'draining'
    | 'history'
    | `sink ${string}`;
  /** False where it turns readiness red. */
  readonly ok: boolean;
  readonly state: string;
  readonly detail?: string | undefined;
}

export interface Lifecycle {
  readonly phase: Phase;
  /** Whether it ever was ready. If not, the store is not whole, whatever the phase. */
  readonly wasReady: boolean;
  /** False while the log can't be written: reads go on, writes are refused. */
  readonly storageAvailable: boolean;
  /** Whether this instance never takes writes. */
  readonly isReader: boolean;
  /** How much of the log is replayed, in percent; `undefined` while that is not known. */
  readonly replayedPercent?: number | undefined;
  /** One sentence on the threads that make no progress though there is work; `undefined` = none. */
  readonly stalled?: string | undefined;
  /** What readiness is made of; a thread that doesn't know asks the one that does. */
  checks(): readonly HealthCheck[] | Promise<readonly HealthCheck[]>;
}
