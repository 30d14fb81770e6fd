/** Letters that are sent again: at once by several, without an answer, and after a kill. */
import t from 'tap';
import { fingerprintKey } from '../../src/event/fingerprint.ts';
import type { ProductEvent } from '../../src/event/product-event.ts';
import type { EventWaiter } from '../../src/intake/event-intake.ts';
import { DeadLetterOffice } from '../../src/sinks/dead-letter-office.ts';
import { APPLIER_SOURCE, type DeadLetter } from '../../src/sinks/dead-letters.ts';
import type { LetterDesk } from '../../src/sinks/letter-desk.ts';
import type { RowRedrive } from '../../src/sinks/sink-messages.ts';
import { bounded, polled } from '../helpers/bounded.ts';

const WAIT_MS_MAX = 60_000;

function letter(id: number, source: string): DeadLetter {
  const content = JSON.stringify({ price: 1, stock: 2, deleted: false });
  const times = { firstMs: 0, lastMs: 0, times: 1 };
  return { id, source, productId: 'p', seq: 40 + id, content, code: '', reason: '', ...times };
}

class World {
  readonly letters = new Map([
    [1, letter(1, APPLIER_SOURCE)],
    [2, letter(2, 'sqlite')],
  ]);
  readonly offered: { readonly event: ProductEvent; readonly waiter: EventWaiter }[] = [];
  readonly rows: PromiseWithResolvers<RowRedrive>[] = [];
  readonly office: DeadLetterOffice;

  constructor(answerMs?: number) {
    const { letters, offered, rows } = this;
    this.office = new DeadLetterOffice({
      desk: {
        get: async (id: number) => letters.get(id),
        remove: async (id: number) => letters.delete(id),
      } as LetterDesk,
      sinks: {
        redrive: () => {
          const row = Promise.withResolvers<RowRedrive>();
          rows.push(row);
          return row.promise;
        },
      },
      intake: {
        offer: (event, waiter) => {
          if (waiter !== undefined) offered.push({ event, waiter });
          return 'queued';
        },
      },
      ...(answerMs === undefined ? {} : { answerMs }),
    });
  }

  offers(count: number): Promise<true> {
    return polled(
      () => (this.offered.length >= count ? true : undefined),
      WAIT_MS_MAX,
      `${count} events to be offered`,
    );
  }
}

t.test('two redrives of an event at once are one', async (t) => {
  const { office, offered, letters } = new World();
  const both = Promise.all([office.redrive(1), office.redrive(1)]);
  await polled(() => offered[0], WAIT_MS_MAX, 'the event to be offered');
  offered[0]?.waiter.durable(50);
  t.strictSame(await bounded(both, WAIT_MS_MAX, 'both'), [
    { status: 'sent', seq: 50 },
    { status: 'sent', seq: 50 },
  ]);
  t.equal(offered.length, 1);
  t.notOk(letters.has(1));
  t.equal(await office.redrive(1), undefined);
});

t.test('an event that is sent again after a kill has the same key', async (t) => {
  const before = new World();
  void before.office.redrive(1);
  await before.offers(1);
  const after = new World();
  const redriven = after.office.redrive(1);
  await after.offers(1);
  after.offered[0]?.waiter.durable(50, true);
  t.strictSame(await redriven, { status: 'sent', seq: 50 });
  t.ok(after.offered[0]?.event.key);
  t.strictSame(after.offered[0]?.event.key, before.offered[0]?.event.key);
  t.strictNotSame(after.offered[0]?.event.key, fingerprintKey('event', '41'), 'no client has it');
});

t.test(
  'one whose fate stays open is answered, not sent twice, and settled in the end',
  async (t) => {
    const { office, offered, letters } = new World(1);
    const open = { status: 'rejected', offer: 'failed' };
    t.strictSame(await bounded(office.redrive(1), WAIT_MS_MAX, 'an answer'), open);
    t.strictSame(await bounded(office.redrive(1), WAIT_MS_MAX, 'an answer'), open);
    t.equal(offered.length, 1);
    offered[0]?.waiter.durable(50);
    await polled(() => (letters.has(1) ? undefined : true), WAIT_MS_MAX, 'it to be removed');
  },
);

t.test('a product waits for its sink once, however often it is asked for', async (t) => {
  const { office, rows } = new World(1);
  t.strictSame(await office.redrive(2), { status: 'queued' });
  t.strictSame(await office.redrive(2), { status: 'queued' });
  t.equal(rows.length, 1);
  rows[0]?.resolve('refused');
  await rows[0]?.promise;
  void office.redrive(2);
  await polled(() => (rows.length === 2 ? true : undefined), WAIT_MS_MAX, 'another one');
});
