/**
 * A folder that lost an event is repaired: batches that lost none of theirs are still known under their
 * keys, however long they are; one that did brings its events back.
 */
import { readdirSync, readFileSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import t from 'tap';
import { putReceipt, receiptIn } from '../../src/dedupe/batch-receipt.ts';
import { fingerprintKey } from '../../src/event/fingerprint.ts';
import { WholeReceipts } from '../../src/maintenance/whole-receipts.ts';
import { SLOT_BYTES, SLOT_SEQ, SlotViews } from '../../src/ring/slot.ts';
import { ApiClient } from '../helpers/clients/api-client.ts';
import { line, sendBatch } from '../helpers/clients/batch-client.ts';
import { damage } from '../helpers/disks/repairing.ts';
import { tempDir } from '../helpers/disks/temp-dir.ts';
import { runCommand } from '../helpers/processes/run-command.ts';
import { startReadyService } from '../helpers/processes/service-in-process.ts';

/** More than the smallest dedupe window holds. */
const LONG_BATCH_EVENTS = 20_000;
const QUERY = '?ack=applied';
const ENV = { DEDUPE_WINDOW: '1000' };

const keyed = (port: number, key: string, body: string) =>
  sendBatch(port, body, { query: QUERY, headers: { 'idempotency-key': key } });

/** Damages the frame of the log in which this product's id stands. */
function damageEventOf(dataDir: string, productId: string): void {
  const folder = join(dataDir, 'log');
  for (const name of readdirSync(folder).filter((each) => each.endsWith('.seg'))) {
    const path = join(folder, name);
    const at = readFileSync(path).indexOf(productId);
    if (at >= 0) damage(path, at);
  }
}

t.test('a long batch beside a lost event is not applied again', async (t) => {
  const dataDir = join(tempDir(t), 'data');
  let long = '';
  for (let i = 0; i < LONG_BATCH_EVENTS; i++) long += line(`p${i % 50}`, i);
  const broken = line('broken-1', 1) + line('broken-2', 2);

  const first = await startReadyService(t, { DATA_DIR: dataDir, ...ENV });
  t.match(await keyed(first.port, 'broken', broken), { body: { accepted: 2 } });
  t.match(await keyed(first.port, 'long', long), { body: { accepted: LONG_BATCH_EVENTS } });
  await sendBatch(first.port, line('p1', 777), { query: QUERY });
  await sendBatch(first.port, line('lost-1', 1), { query: QUERY });
  await sendBatch(first.port, line('kept-1', 1), { query: QUERY });
  await first.service.stop();

  rmSync(join(dataDir, 'checkpoint'), { recursive: true });
  damageEventOf(dataDir, 'broken-1');
  damageEventOf(dataDir, 'lost-1');
  const to = `${dataDir}-repaired`;
  t.equal(runCommand('repair', dataDir, '--to', to).code, 3);

  const { port } = await startReadyService(t, { DATA_DIR: to, ...ENV });
  const client = new ApiClient(port);
  t.teardown(() => client.close());
  t.equal(await client.product('lost-1'), undefined);
  const again = await keyed(port, 'long', long);
  t.match(again.body, { accepted: 0, duplicates: LONG_BATCH_EVENTS });
  t.equal(again.headers['idempotency-replayed'], 'true');
  t.match(await client.product('p1'), { price: 777 }, 'the correction stands');
  t.match(await keyed(port, 'long', long + line('p1', 1)), { status: 422 });

  t.match(await keyed(port, 'broken', broken), { body: { accepted: 2 } }, 'brought back');
  t.match(await client.product('broken-1'), { price: 1 });
});

interface Kept {
  readonly state: number;
  readonly since: number;
}

/** What is kept of a receipt at seq 50, of events from seq 40 on. */
function kept(
  state: number,
  lost: readonly [number, number] | number,
  firstSeq = 40,
): Kept | undefined {
  const slots = new SlotViews(new ArrayBuffer(SLOT_BYTES), 0, 1);
  const part = { events: 9, bytes: 99, crc: 1, since: 30, rejected: 0, firstSeq, lastSeq: 49 };
  putReceipt(slots, 0, fingerprintKey('request', 'a'), { ...part, state }, 5);
  slots.doubles[SLOT_SEQ] = 50;
  const isTail = typeof lost === 'number';
  const receipts = new WholeReceipts(
    {
      *all() {
        yield slots;
      },
    },
    {
      ranges: isTail ? [] : [{ fromSeq: lost[0], toSeq: lost[1] }],
      unknownFrom: isTail ? lost : undefined,
    },
  );
  const [found] = [...receipts.all()];
  if (found === undefined) return undefined;
  const { state: stateNow, since } = receiptIn(found, 0);
  return { state: stateNow, since };
}

t.test('which receipts are kept, and as what', (t) => {
  const [open, ended, complete, frozen] = [1, 2, 3, 4] as const;
  for (const state of [open, ended, complete, frozen]) {
    t.strictSame(kept(state, [1, 39]), { state, since: 30 }, 'a loss before it is not its own');
    t.equal(kept(state, [41, 41]), undefined);
    t.equal(kept(state, [39, 40]), undefined);
    t.equal(kept(state, [1, 2], 0), undefined, 'nobody knows where its events begin');
  }
  for (const lost of [[51, 60], 60] as const) {
    t.strictSame(kept(open, lost), { state: open, since: 30 });
    t.strictSame(kept(frozen, lost), { state: frozen, since: 30 });
    t.strictSame(kept(complete, lost), { state: complete, since: 30 }, 'nothing came behind it');
    t.strictSame(kept(ended, lost), { state: open, since: 50 }, 'more may have come behind it');
  }
  t.end();
});
