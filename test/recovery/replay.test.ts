/** What the replay does with the entries of a checkpoint: straight into the store they go, and a stop ends it. */
import assert from 'node:assert/strict';
import t from 'tap';
import { DedupeWindow } from '../../src/dedupe/dedupe-window.ts';
import { ReceiptWindow } from '../../src/dedupe/receipt-window.ts';
import { CommitPublisher } from '../../src/log/commit-publisher.ts';
import { OutcomeWindow } from '../../src/outcome/outcome-window.ts';
import { Replay, StopRequested } from '../../src/recovery/replay.ts';
import { COMMIT_HEAD, CommitRing } from '../../src/ring/commit-ring.ts';
import { INTAKE_STOP, IntakeRing } from '../../src/ring/intake-ring.ts';
import { SlotViews } from '../../src/ring/slot.ts';
import { Shard, shardSize } from '../../src/store/shard.ts';
import { SharedProductStore } from '../../src/store/shared-product-store.ts';
import { names, OwnedStore } from '../helpers/models/owned-store.ts';
import { readProduct } from '../helpers/models/product-model.ts';

const FIRST_CURSOR = 7;
const PRODUCTS = 20;

/** Entries of a store that was, and the way into an empty one. */
function setup() {
  const before = new OwnedStore(1, 8192);
  for (const id of names(PRODUCTS)) before.put(id);
  const [{ buffer, entriesAt }] = before.shards;
  const entries = new SlotViews(buffer, entriesAt * 4, PRODUCTS);
  const shards = [Shard.create(shardSize(8192))];
  const hashKey = { k0: 1, k1: 2 };
  const intake = IntakeRing.create(1);
  // Fewer slots than entries: if they went that way, nobody would make room.
  const ring = CommitRing.create(8, 1, FIRST_CURSOR);
  const replay = new Replay(intake, new CommitPublisher(ring), {
    shards,
    hashKey,
    dedupe: new DedupeWindow(DedupeWindow.create(1, 0, 1), hashKey),
    receipts: new ReceiptWindow(ReceiptWindow.createFor(1), hashKey),
    outcomes: new OutcomeWindow(OutcomeWindow.create(1)),
  });
  const store = new SharedProductStore(shards, hashKey);
  return { before, entries, intake, ring, replay, store };
}

t.test('entries are in the store at once, and nothing is in the commit ring', (t) => {
  const { before, entries, ring, replay, store } = setup();
  replay.entries(entries, 0, PRODUCTS);
  for (const id of names(PRODUCTS)) {
    t.strictSame(readProduct(store, id), readProduct(before.store, id), id);
  }
  t.equal(store.size, PRODUCTS);
  replay.finish();
  t.equal(Atomics.load(ring.cursors, COMMIT_HEAD), FIRST_CURSOR);
  t.end();
});

t.test('a stop is noticed between two runs of entries', (t) => {
  const { entries, intake, replay, store } = setup();
  replay.entries(entries, 0, 5);
  Atomics.store(intake.cursors, INTAKE_STOP, 1);
  assert.throws(() => replay.entries(entries, 5, 5), StopRequested);
  t.equal(store.size, 5);
  t.end();
});
