/** The sinks among the checks of readiness: shown, and never a reason to turn red. Pure, main thread. */
import type { HealthCheck } from '../lifecycle.ts';
import type { RunningSink } from './sinks.ts';

/** `applied`: up to where events are applied. */
export function sinkChecks(sinks: readonly RunningSink[], applied: number): HealthCheck[] {
  return sinks.map(({ name, stats }) => {
    const behind = Math.max(0, applied - stats.get('position'));
    const letters = stats.get('deadLetters');
    return {
      name: `sink ${name}`,
      ok: true,
      state: stats.state,
      detail: `${behind} events behind, breaker ${stats.breaker}, ${letters} rows refused`,
    };
  });
}
