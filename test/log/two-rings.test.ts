/**
 * Both intake rings at the real log thread, which dies again and again: each key becomes one event,
 * whichever ring its repetitions come through.
 */
import t from 'tap';
import { fingerprintKey } from '../../src/event/fingerprint.ts';
import { recovered } from '../helpers/disks/log-life.ts';
import { tempDir } from '../helpers/disks/temp-dir.ts';
import type { PlainEvent } from '../helpers/models/plain-event.ts';
import { Random, testSeed } from '../helpers/models/random.ts';
import { Pipeline } from '../helpers/threads/pipeline.ts';
import { BulkProducer } from './bulk-producer.ts';

const KEYS = 4000;
const DEATHS = 8;
const seed = testSeed();

function eventOf(n: number): PlainEvent {
  return { seq: 0, productId: `p${n % 100}`, price: n, stock: n, occurredAtMs: n };
}

for (const firstCursor of [0, 2 ** 31 - KEYS]) {
  t.test(`from cursor ${firstCursor}, with deaths (seed ${seed})`, async (t) => {
    const random = new Random(seed);
    const dataDir = tempDir(t);
    const pipeline = await Pipeline.start(t, { dataDir, firstCursor });
    const bulk = new BulkProducer(pipeline.path.rings, pipeline.path.memory.hashKey);
    /** The seqs that each key was answered with, and how often as new. */
    const seqs = Array.from({ length: KEYS }, () => new Set<number>());
    const timesNew = new Array<number>(KEYS).fill(0);
    const told = (n: number, { seq, isReplayed }: { seq: number; isReplayed: boolean }) => {
      seqs[n]?.add(seq);
      if (!isReplayed) timesNew[n] = timesNew[n] + 1;
    };
    const sendLive = async (n: number) => {
      const key = fingerprintKey('event', `key ${n}`);
      told(n, await pipeline.fateOf({ ...eventOf(n), key }));
    };
    const sendBulk = async (n: number) => {
      while (bulk.room === 0) await new Promise(setImmediate);
      const fate = await bulk.send({ ...eventOf(n), key: `key ${n}` });
      if (fate.isConflict) t.fail(`key ${n}: a conflict`);
      told(n, fate);
    };

    const sent: Promise<void>[] = [];
    /** Sent first since the last death. */
    let sinceDeath = 0;
    for (let n = 0; n < KEYS; n++) {
      for (let times = random.integer(1, 3); times > 0; times--) {
        // This one, or once more one that may be anywhere between its slot and the disk.
        const which = times === 1 ? n : Math.max(0, n - random.below(600));
        sent.push(random.chance(0.5) ? sendLive(which) : sendBulk(which));
      }
      if (n % 20 === 0) await new Promise(setImmediate);
      if (n % (KEYS / DEATHS) !== KEYS / DEATHS - 1) continue;
      // A thread that dies again and again without getting anywhere is given up, and rightly so.
      await sent[sinceDeath];
      sinceDeath = sent.length;
      await pipeline.threads.killLog();
    }
    await Promise.all(sent);
    t.same(pipeline.fatal, []);
    const of = (n: number) => [...seqs[n]];
    const wrong = timesNew.flatMap((times, n) => (times === 1 && of(n).length === 1 ? [] : [n]));
    t.same(wrong, [], 'each key is new once, and has one seq ever after');

    t.same(await pipeline.fateOf({ ...eventOf(5), key: fingerprintKey('event', 'key 5') }), {
      seq: of(5)[0],
      isReplayed: true,
    });
    await t.rejects(
      pipeline.fateOf({ ...eventOf(6), key: fingerprintKey('event', 'key 5') }),
      /conflict/,
    );
    t.equal(await pipeline.stop(), true);
    const { events } = recovered(dataDir);
    t.equal(events.length, KEYS, 'the log has each of them once');
    const misplaced = events.filter(({ price }, i) => of(price as number)[0] !== i + 1);
    t.same(misplaced, [], 'under the seq that was told');

    const again = await Pipeline.start(t, { dataDir });
    const key = fingerprintKey('event', `key ${KEYS - 1}`);
    t.same(
      await again.fateOf({ ...eventOf(KEYS - 1), key }),
      { seq: of(KEYS - 1)[0], isReplayed: true },
      'known after a start',
    );
    t.equal(await again.stop(), true);
  });
}

t.test('a bulk event wakes the log thread, without a live one', async (t) => {
  const pipeline = await Pipeline.start(t, { dataDir: tempDir(t) });
  const bulk = new BulkProducer(pipeline.path.rings, pipeline.path.memory.hashKey);
  for (let n = 1; n <= 20; n++) {
    t.match(await bulk.send(eventOf(n)), { seq: n, isReplayed: false, isConflict: false });
  }
});
