/** What `/readyz` says, as figures. Main thread. */
import type { HealthCheck } from '../lifecycle.ts';
import type { MetricsRegistry } from '../metrics/registry.ts';

export function healthMetrics(
  metrics: MetricsRegistry,
  lifecycle: { checks(): readonly HealthCheck[] },
): void {
  metrics.gauge(
    {
      name: 'product_service_ready',
      help: 'Whether it takes traffic, as /readyz says: 1, or 0',
    },
    (put) => put(lifecycle.checks().every(({ ok }) => ok) ? 1 : 0),
  );
  metrics.gauge(
    {
      name: 'product_service_health_check_ok',
      help: 'Each part of readiness: 1, or 0 where it makes /readyz red',
      labels: ['check'],
    },
    (put) => {
      for (const { name, ok } of lifecycle.checks()) put(ok ? 1 : 0, { check: name });
    },
  );
}
