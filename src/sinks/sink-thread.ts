/** Puts a sink together in its own thread and runs it to its end. */
import { AppliedWatermark } from '../apply/applied-watermark.ts';
import { RingHistory } from '../changes/ring-history.ts';
import type { SinkTarget } from '../config/sinks.ts';
import { CommitRing } from '../ring/commit-ring.ts';
import { LogProgress } from '../ring/progress.ts';
import { Shard } from '../store/shard.ts';
import { ChangedProductsSearch } from './changed-products.ts';
import { DeadLetters } from './dead-letters.ts';
import { ProductRows } from './product-rows.ts';
import { RefusedLetters } from './refused-letters.ts';
import type { Sink, SinkOptions } from './sink.ts';
import type { SinkOrder, SinkReport, SinkThreadData } from './sink-messages.ts';
import { SinkRunner } from './sink-runner.ts';
import { SinkStats } from './sink-stats.ts';

export interface SinkPort {
  on(event: 'message', listener: (order: SinkOrder) => void): void;
  postMessage(report: SinkReport): void;
  close(): void;
}

/** Runs the sink; resolves when it ended. Rejects if the dead letters can't be opened. */
export async function runSink(data: SinkThreadData, port: SinkPort): Promise<void> {
  const { memory, name, target, options, limits, stats, isShared, timeline } = data;
  const { path, lettersMax } = data.deadLetters;
  const progress = new LogProgress(memory.progress);
  const ring = new CommitRing(memory.commit, memory.appliers.length);
  const applied = new AppliedWatermark(ring, progress);
  const shards = memory.shards.map((buffer) => new Shard(buffer));
  const letters = new DeadLetters(path, lettersMax);
  let held = Promise.withResolvers<number | undefined>();
  const runner = new SinkRunner({
    sink: await loadSink(target, options),
    search: new ChangedProductsSearch({ shards, ring: new RingHistory(ring, progress) }),
    rows: new ProductRows(shards, memory.hashKey),
    applied,
    stats: new SinkStats(stats),
    limits,
    refused: new RefusedLetters(letters, name),
    hold: (position) => {
      held = Promise.withResolvers();
      port.postMessage({ type: 'opened', position });
      return held.promise;
    },
    onCompared: (comparison) => port.postMessage({ type: 'compared', comparison }),
    isShared,
    timeline,
    report: (level, text) => port.postMessage({ type: 'report', level, text }),
  });
  port.on('message', (order) => {
    if (order.type === 'drain') runner.drain();
    else if (order.type === 'stop') runner.stop();
    else if (order.type === 'held') held.resolve(order.comparison);
    else if (order.type === 'compare') runner.compare(order.comparison);
    else {
      const { id, productId } = order;
      void runner
        .redrive(productId)
        .then((status) => port.postMessage({ type: 'redriven', id, status }));
    }
  });
  try {
    await runner.run();
  } finally {
    applied.dispose();
    letters.close();
    port.close();
  }
}

/** Only the client that is needed is loaded. */
async function loadSink(target: SinkTarget, options: SinkOptions): Promise<Sink> {
  switch (target.kind) {
    case 'sqlite': {
      const { SqliteSink } = await import('./sqlite/sqlite-sink.ts');
      return new SqliteSink(target.path, options);
    }
    case 'postgres': {
      const { PostgresSink } = await import('./postgres/postgres-sink.ts');
      return new PostgresSink(target, options);
    }
    case 'redis': {
      const { RedisSink } = await import('./redis/redis-sink.ts');
      return new RedisSink(target, options);
    }
  }
}
