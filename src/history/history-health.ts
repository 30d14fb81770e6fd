/** The history among the checks of readiness: shown, and never a reason to turn red. Pure, main thread. */
import type { HealthCheck } from '../lifecycle.ts';

/** How far the history is; `ProductHistory` is one. */
export interface HistoryState {
  readonly progress: { readonly seq: number };
  /** When it last had everything that was applied, ms since 1970; 0 = never yet. */
  readonly caughtUpMs: number;
  /** How often it could not be written. */
  readonly failures: number;
  /** Whether another instance of the cluster writes it. */
  readonly isStandingBy: boolean;
}

/** How long it may be behind before it says so: it rests between two transactions. */
const BEHIND_MS = 10_000;

/** `applied`: up to where events are applied. None while HISTORY is off (`undefined`). */
export function historyChecks(
  history: HistoryState | undefined,
  applied: number,
  nowMs: number,
): HealthCheck[] {
  if (history === undefined) return [];
  const { progress, caughtUpMs, failures, isStandingBy } = history;
  const behind = Math.max(0, applied - progress.seq);
  const last = caughtUpMs === 0 ? 'never yet' : new Date(caughtUpMs).toISOString();
  return [
    {
      name: 'history',
      ok: true,
      state: stateOf(behind, caughtUpMs, nowMs, isStandingBy),
      detail: `${behind} events behind, had everything ${last}, ${failures} failed writes`,
    },
  ];
}

function stateOf(behind: number, caughtUpMs: number, nowMs: number, isStandingBy: boolean): string {
  const well = isStandingBy ? 'standby' : 'following';
  if (behind === 0) return well;
  if (caughtUpMs === 0) return 'catching-up';
  return nowMs - caughtUpMs > BEHIND_MS ? 'behind' : well;
}
