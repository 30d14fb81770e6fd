/**
 * Backups of a real process under load, with checkpoints taken and log removed all the time:
 * everything acknowledged before a backup began is served by a service that starts on the copy.
 */
import { join } from 'node:path';
import t from 'tap';
import { polled } from '../helpers/bounded.ts';
import { ApiClient, seqOf } from '../helpers/clients/api-client.ts';
import { tempDir } from '../helpers/disks/temp-dir.ts';
import { type LogLine, ServiceProcess } from '../helpers/processes/service-process.ts';

const LANES = 32;
const PRODUCTS_PER_LANE = 4;
const BACKUPS = 3;
/** Events between two backups: some segments, and a checkpoint or two. */
const EVENTS_BETWEEN = 9_000;
const REMOVED_MS_MAX = 120_000;

const SMALL = {
  MAX_MEMORY_USAGE: '16MB',
  SHARDS: '8',
  SEGMENT_SIZE: '1MB',
  CHECKPOINT_EVERY: '1MB',
  LOG_RETENTION: '0B',
};

interface Acknowledged {
  readonly stock: number;
  readonly seq: number;
}

/** Writes stock n and price n / 4, n counting up for each product, until told to stop. */
class Load {
  readonly acknowledged = new Map<string, Acknowledged>();
  count = 0;
  #isOver = false;
  #watch: { readonly at: number; readonly reached: () => void } | undefined;

  async run(port: number): Promise<void> {
    await Promise.all(Array.from({ length: LANES }, (_, lane) => this.#lane(port, lane)));
  }

  stop(): void {
    this.#isOver = true;
  }

  /** Resolves when that many events were acknowledged. */
  reach(count: number): Promise<void> {
    return new Promise((reached) => {
      this.#watch = { at: count, reached };
    });
  }

  async #lane(port: number, lane: number): Promise<void> {
    const client = new ApiClient(port);
    for (let n = 1; !this.#isOver; n++) {
      const id = `lane ${lane}/${n % PRODUCTS_PER_LANE}`;
      const answer = await client.post({ product_id: id, price: n / 4, stock: n });
      if (answer.status !== 202) throw new Error(`${answer.status} ${answer.text}`);
      this.acknowledged.set(id, { stock: n, seq: seqOf(answer) });
      this.count++;
      if (this.count === this.#watch?.at) this.#watch.reached();
    }
    client.close();
  }
}

function removesSegments({ msg, removed }: LogLine): boolean {
  return msg.startsWith('checkpoint: ') && (removed as { readonly segments: number }).segments > 0;
}

t.test('backup and verify of a running service under load, and restore', async (t) => {
  const cwd = tempDir(t);
  const service = await ServiceProcess.start(t, { cwd, env: SMALL });
  const load = new Load();
  const writing = load.run(await service.ready());
  const backups: { folder: string; before: Map<string, Acknowledged> }[] = [];

  for (let i = 1; i <= BACKUPS; i++) {
    await load.reach(load.count + EVENTS_BETWEEN);
    const folder = join(cwd, `backup-${i}`);
    const before = new Map(load.acknowledged);
    const tools = [
      ServiceProcess.spawn(t, { cwd, args: ['backup', 'data', '--to', folder] }),
      ServiceProcess.spawn(t, { cwd, args: ['verify', 'data'] }),
    ] as const;
    const [copied, verified] = await Promise.all(tools.map((tool) => tool.exit()));
    t.strictSame(copied, { code: 0, signal: null }, tools[0].stderr);
    t.match(tools[0].stdout, `data folder  ${folder}\n`);
    t.match(tools[0].stdout, 'whole: a start would succeed\n');
    t.strictSame(verified, { code: 0, signal: null }, tools[1].stdout);
    t.match(tools[1].stdout, `held by process ${service.pid} on`);
    backups.push({ folder, before });
  }
  // It takes two checkpoints, which rest the longer the slower the disk is.
  await polled(
    () => service.log.some(removesSegments) || undefined,
    REMOVED_MS_MAX,
    'a checkpoint to remove segments',
  );
  load.stop();
  await writing;
  t.strictSame(await service.stop(), { code: 0, signal: null });

  for (const { folder, before } of backups) {
    const env = { ...SMALL, DATA_DIR: folder };
    const restored = await ServiceProcess.start(t, { cwd, env });
    const client = new ApiClient(await restored.ready(), 16);
    const faults = await Promise.all(
      [...before].map(async ([id, { stock, seq }]) => {
        const found = await client.product(id);
        const isThere =
          found !== undefined &&
          found.seq >= seq &&
          found.stock >= stock &&
          found.price === found.stock / 4;
        return isThere
          ? undefined
          : `${id}: ${stock} as seq ${seq}, found ${JSON.stringify(found)}`;
      }),
    );
    t.strictSame(
      faults.filter((fault) => fault !== undefined),
      [],
      `${folder}: all of ${before.size} products`,
    );
    client.close();
    t.strictSame(await restored.stop(), { code: 0, signal: null });
  }
});
