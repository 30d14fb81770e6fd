/** The metrics of the change feed. Each thread that has one. */
import type { AppliedWatermark } from '../apply/applied-watermark.ts';
import type { MetricsRegistry } from '../metrics/registry.ts';
import type { ChangeFeed } from './change-feed.ts';

export function changeMetrics(
  metrics: MetricsRegistry,
  feed: Pick<ChangeFeed, 'followers' | 'hub'>,
  applied: Pick<AppliedWatermark, 'seq'>,
): void {
  metrics.gauge(
    { name: 'product_service_changes_followers', help: 'Streams of changes that are open' },
    (put) => put(feed.followers),
  );
  metrics.gauge(
    {
      name: 'product_service_changes_outstanding_bytes',
      help: 'What followers were given and have not taken yet',
    },
    (put) => put(feed.hub.outstandingBytes),
  );
  metrics.gauge(
    {
      name: 'product_service_changes_lag_events',
      help: 'How many events the follower that is furthest behind is behind the applied ones',
      across: 'greatest',
    },
    (put) => put(Math.max(0, applied.seq - feed.hub.leastPlace)),
  );
  metrics.counter(
    {
      name: 'product_service_changes_dropped_total',
      help: 'Followers that were ended because they read too slowly',
    },
    (put) => put(feed.hub.dropped),
  );
}

/** How many may follow, on all threads together. */
export function changeLimitMetrics(metrics: MetricsRegistry, followersMax: number): void {
  metrics.gauge(
    {
      name: 'product_service_changes_followers_limit',
      help: 'Streams of changes that may be open, by CHANGES_FOLLOWERS_MAX',
    },
    (put) => put(followersMax),
  );
}
