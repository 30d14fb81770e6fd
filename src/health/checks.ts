/**
 * What readiness is made of, each part with its state in words. Pure, main thread; `service.ts` brings
 * the facts, `GET /readyz?verbose` shows it.
 */
import type { HealthCheck, Phase } from '../lifecycle.ts';
import type { Stall } from './progress-watch.ts';
import { LOG_WORK } from './thread-work.ts';

export interface HealthFacts {
  readonly phase: Phase;
  readonly wasReady: boolean;
  readonly replayedPercent: number | undefined;
  /** Whether it takes no writes anyway. */
  readonly isReader: boolean;
  /** Whether the log can be written. */
  readonly isLogAvailable: boolean;
  /** Whether the disk has more room than DISK_RESERVE. */
  readonly diskHasRoom: boolean;
  /** Whether the files of the data folder are all there. */
  readonly isFolderWhole: boolean;
  readonly stalls: readonly Stall[];
  /** Whether several threads serve HTTP. */
  readonly hasLoops: boolean;
  readonly products: number;
  readonly productsMax: number;
}

/** In the order of an event's way, then of the service's life. */
export function checksOf(facts: HealthFacts): HealthCheck[] {
  return [
    logCheck(facts),
    appliersCheck(facts),
    ...(facts.hasLoops ? [httpCheck(facts)] : []),
    storeCheck(facts),
    diskCheck(facts),
    replayCheck(facts),
    drainingCheck(facts),
  ];
}

/** One sentence on all who are stalled; `undefined` if nobody is. */
export function stallText(stalls: readonly Stall[]): string | undefined {
  if (stalls.length === 0) return undefined;
  return `No progress: ${stalls.map(textOf).join('; ')}.`;
}

function textOf({ name, pending, forMs }: Stall): string {
  const seconds = Math.floor(forMs / 100) / 10;
  const waiting = pending === undefined ? '' : `, with ${pending} events waiting`;
  return `${name} for ${seconds} s${waiting}`;
}

function logCheck(facts: HealthFacts): HealthCheck {
  const { isReader, isLogAvailable, phase, wasReady, stalls } = facts;
  const name = 'log';
  if (isReader && wasReady)
    return { name, ok: true, state: isLogAvailable ? 'following' : 'cut-off' };
  if (!isLogAvailable) return { name, ok: false, state: 'unavailable' };
  const own = stalls.filter((stall) => stall.name === LOG_WORK);
  if (own.length > 0) return { name, ok: false, state: 'stalled', detail: stallText(own) };
  if (!wasReady) return { name, ok: false, state: phase === 'starting' ? 'starting' : 'closed' };
  return { name, ok: true, state: 'serving' };
}

function appliersCheck({ stalls }: HealthFacts): HealthCheck {
  const name = 'appliers';
  const own = stalls.filter((stall) => stall.name !== LOG_WORK && stall.pending !== undefined);
  if (own.length > 0) return { name, ok: false, state: 'stalled', detail: stallText(own) };
  return { name, ok: true, state: 'applying' };
}

/** Of the threads that serve HTTP beside the main thread. */
function httpCheck({ stalls }: HealthFacts): HealthCheck {
  const name = 'http';
  const own = stalls.filter(({ pending }) => pending === undefined);
  if (own.length > 0) return { name, ok: false, state: 'stalled', detail: stallText(own) };
  return { name, ok: true, state: 'serving' };
}

/** A full store is no reason to send traffic elsewhere: known products go on. */
function storeCheck({ wasReady, products, productsMax }: HealthFacts): HealthCheck {
  const name = 'store';
  const detail = `${products} products, room for ${productsMax}`;
  if (!wasReady) return { name, ok: false, state: 'restoring', detail };
  return { name, ok: true, state: products < productsMax ? 'whole' : 'full', detail };
}

function diskCheck({ diskHasRoom, isFolderWhole }: HealthFacts): HealthCheck {
  const name = 'disk';
  if (!isFolderWhole) return { name, ok: false, state: 'files-missing' };
  return diskHasRoom ? { name, ok: true, state: 'has-room' } : { name, ok: false, state: 'full' };
}

function replayCheck({ wasReady, replayedPercent }: HealthFacts): HealthCheck {
  const name = 'replay';
  if (wasReady) return { name, ok: true, state: 'done' };
  const known = replayedPercent === undefined ? {} : { detail: `${replayedPercent} %` };
  return { name, ok: false, state: 'running', ...known };
}

function drainingCheck({ phase }: HealthFacts): HealthCheck {
  const isServing = phase === 'starting' || phase === 'ready';
  return { name: 'draining', ok: isServing, state: isServing ? 'no' : phase };
}
