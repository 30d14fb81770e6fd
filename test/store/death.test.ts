/**
 * A thread may die before any write of `apply`, of `undo` and of `releaseOnly`. For random events,
 * every such death is tried from the same state; the successor must bring the store to what a plain
 * Map says, with `used` and `released` exactly right and no entry left odd.
 */
import t, { type Test } from 'tap';
import type { ShardWriter } from '../../src/store/shard-writer.ts';
import { MortalStore } from '../helpers/models/mortal-store.ts';
import type { PlainEvent } from '../helpers/models/plain-event.ts';
import { ProductModel, readProduct } from '../helpers/models/product-model.ts';
import { Random, testSeed } from '../helpers/models/random.ts';

const IDS = ['a', 'b', 'ccc', 'ddd-1', 'é', '0123456789'.repeat(6), '😀', 'z'.repeat(64)];
const EVENTS = 80;
const COMMIT_TIME_MS = 1_700_000_000_000;

function randomEvent(random: Random, seq: number, model: ProductModel): PlainEvent {
  const fields = random.below(8);
  if (fields > 5) {
    const gone = IDS.filter((id) => Number.isNaN(model.products.get(id)?.price ?? 0));
    const productId = random.pick(gone.length > 0 ? gone : IDS);
    const expectedSeq = model.products.get(productId)?.seq ?? 1;
    const none = { price: undefined, stock: undefined, occurredAtMs: 0 };
    return { seq, productId, ...none, isForget: true, expectedSeq, reserved: false };
  }
  return {
    seq,
    productId: random.pick(IDS),
    price: fields === 0 || fields === 2 ? undefined : random.below(10_000) / 100,
    stock: fields === 1 || fields === 2 ? undefined : random.below(1000),
    ...(fields === 2 ? { isDelete: true } : {}),
    ...(fields === 3 ? { expectedSeq: random.pick([-1, -2, seq - 1, 1]) } : {}),
    // A narrow range: older, equal and newer times all come up.
    occurredAtMs: 1000 + random.below(12),
    reserved: random.chance(0.5),
  };
}

/** What differs between the store and the model, or '' if nothing does. */
function difference(memory: MortalStore, model: ProductModel, released: number): string {
  for (const id of IDS) {
    const found = JSON.stringify(readProduct(memory.store, id));
    const expected = JSON.stringify(model.products.get(id) ?? 'missing');
    if (found !== expected) return `${id}: found ${found}, expected ${expected}`;
  }
  const products = memory.store.size - memory.forgotten;
  if (products !== model.products.size) {
    return `used ${products}, expected ${model.products.size}`;
  }
  if (memory.fault !== '') return memory.fault;
  if (memory.released !== released) return `released ${memory.released}, expected ${released}`;
  return memory.oddEntries === 0 ? '' : 'an entry was left odd';
}

/** One slot about to be applied, and what the store must be before and after it. */
interface Scene {
  readonly memory: MortalStore;
  readonly cursor: number;
  readonly productId: string;
  readonly after: ProductModel;
  /** Applies the slot with a fresh thread's writer, which dies before write `at` if it gets there. */
  apply(at?: number): boolean;
  /** Starts a fresh thread whose published cursor is `further` slots behind this one. */
  undo(at?: number, further?: number): boolean;
  releaseOnly(at?: number): boolean;
  /** Compares the store with the model (with the event in it or not), then resets the scene. */
  check(what: string, isApplied: boolean): void;
}

let deaths = 0;

/** Tells `story` of each of the random events from the same state, then applies the event for good. */
function walk(t: Test, seed: number, firstCursor: number, story: (scene: Scene) => void): void {
  const random = new Random(seed);
  const memory = new MortalStore({ k0: random.word() | 0, k1: random.word() | 0 }, 2, 4096);
  let model = new ProductModel();
  let released = 0;
  for (let n = 0; n < EVENTS; n++) {
    const cursor = (firstCursor + n) | 0;
    const event = randomEvent(random, n + 1, model);
    const timeMs = COMMIT_TIME_MS + n;
    const before = model;
    const after = model.copy();
    after.apply(event, timeMs);
    released += event.reserved ? 1 : 0;
    const now = released;

    memory.put(cursor, event);
    const slot = memory.slotOf(cursor);
    const restore = memory.snapshot();
    const run = (at: number, work: (writer: ShardWriter) => unknown) => {
      const died = memory.writes.run(at, () => void work(memory.freshWriter()));
      if (died) deaths++;
      return died;
    };
    const scene: Scene = {
      memory,
      cursor,
      productId: event.productId,
      after,
      apply: (at = Infinity) => run(at, (writer) => writer.apply(cursor, slot, timeMs)),
      undo: (at = Infinity, further = 0) =>
        run(at, (writer) => writer.undo((cursor + further) | 0)),
      releaseOnly: (at = Infinity) => run(at, (writer) => writer.releaseOnly(cursor, slot)),
      check: (what, isApplied) => {
        const wrong = difference(memory, isApplied ? after : before, now);
        if (wrong !== '') t.fail(`event ${n}, ${what}: ${wrong}`, { event });
        restore();
      },
    };
    story(scene);
    scene.apply();
    const wrong = difference(memory, after, now);
    if (wrong !== '') t.fail(`event ${n}, undisturbed: ${wrong}`, { event });
    if (!t.passing()) return;
    model = after;
    // So that some of the next events find places that are free.
    if (random.chance(0.5)) memory.writes.run(Infinity, () => memory.sweep());
  }
}

const seed = testSeed();
/** The middle of the range, and both sides of the wrap: cursors are Int32. */
const FIRST_CURSORS = [0, 2 ** 31 - EVENTS / 2, -EVENTS / 2];

for (const firstCursor of FIRST_CURSORS) {
  t.test(`death in apply, first cursor ${firstCursor} (seed ${seed})`, (t) => {
    walk(t, seed, firstCursor, (scene) => {
      for (let at = 0, died = true; died; at++) {
        died = scene.apply(at);
        scene.undo();
        scene.apply();
        scene.check(`death at write ${at}`, true);
      }
    });
    t.pass();
    t.end();
  });

  t.test(`death in apply, then in undo, first cursor ${firstCursor} (seed ${seed})`, (t) => {
    walk(t, seed, firstCursor, (scene) => {
      for (let at = 0, died = true; died; at++) {
        for (let undoAt = 0, undoDied = true; undoDied; undoAt++) {
          died = scene.apply(at);
          undoDied = scene.undo(undoAt);
          scene.undo();
          scene.apply();
          scene.check(`deaths at write ${at} and at write ${undoAt} of undo`, true);
        }
      }
    });
    t.pass();
    t.end();
  });
}

t.test(`a dead slot leaves the state as it was (seed ${seed})`, (t) => {
  let untouched = 0;
  walk(t, seed, -EVENTS / 2, (scene) => {
    const { memory, productId, after } = scene;
    const expected = JSON.stringify(after.products.get(productId) ?? 'missing');
    for (let at = 0, died = true; died; at++) {
      for (let releaseAt = 0, releaseDied = true; releaseDied; releaseAt++) {
        died = scene.apply(at);
        scene.undo();
        // Of fewer writes than the first time: words that it stored then are not stored again.
        scene.apply(at);
        // Past its last write the event has happened, and nobody can take that back from readers.
        const isApplied = JSON.stringify(readProduct(memory.store, productId)) === expected;
        if (!isApplied) untouched++;
        scene.undo();
        releaseDied = scene.releaseOnly(releaseAt);
        if (releaseDied) {
          scene.undo();
          scene.releaseOnly();
        }
        scene.check(`two deaths at write ${at}, skipped with one at ${releaseAt}`, isApplied);
      }
    }
  });
  t.ok(untouched > 200, `${untouched} half-done writes were skipped`);
  t.end();
});

t.test(`an undo record is done with once its slot is published (seed ${seed})`, (t) => {
  for (const firstCursor of FIRST_CURSORS) {
    walk(t, seed, firstCursor, (scene) => {
      for (const further of [
        1,
        2,
        15,
        16,
        17,
        2 ** 31 - 1,
        2 ** 31,
        2 ** 31 + 7,
        2 ** 32 - 2 * EVENTS,
      ]) {
        scene.apply();
        scene.undo(Infinity, further);
        scene.check(`undo ${further} slots later`, true);
      }
    });
  }
  t.pass();
  t.end();
});

t.test('the deaths were many', (t) => {
  t.ok(deaths > 5_000, `${deaths} deaths`);
  t.comment(`${deaths} deaths`);
  t.end();
});

t.test(`death while places are freed (seed ${seed})`, (t) => {
  const random = new Random(seed);
  const memory = new MortalStore({ k0: random.word() | 0, k1: random.word() | 0 }, 1, 4096);
  const model = new ProductModel();
  const ids = Array.from({ length: memory.room }, (_, n) => `product ${n}`);
  let seq = 0;
  const send = (event: Omit<PlainEvent, 'seq'>) => {
    const numbered = { seq: ++seq, ...event };
    memory.put(seq, numbered);
    memory.writes.run(Infinity, () => {
      memory.freshWriter().apply(seq, memory.slotOf(seq), COMMIT_TIME_MS);
    });
    model.apply(numbered, COMMIT_TIME_MS);
  };
  const none = { price: undefined, stock: undefined, occurredAtMs: 2 };
  for (const productId of ids) send({ productId, price: 1, stock: 1, occurredAtMs: 1 });
  for (const productId of ids.filter((_, n) => n % 3 !== 1)) {
    send({ productId, ...none, isDelete: true });
    send({ productId, ...none, isForget: true, expectedSeq: seq });
  }
  const wrong = () => {
    if (memory.fault !== '') return memory.fault;
    const differ = ids.find(
      (id) =>
        JSON.stringify(readProduct(memory.store, id)) !==
        JSON.stringify(model.products.get(id) ?? 'missing'),
    );
    return differ === undefined ? '' : `${differ}: ${readProduct(memory.store, differ)}`;
  };
  const restore = memory.snapshot();
  let at = 0;
  for (let died = true; died && t.passing(); at++) {
    // Death once more while the first one is being put in order.
    for (let again = 0, diedAgain = true; diedAgain && t.passing(); again += 13) {
      died = memory.writes.run(at, () => memory.sweep());
      diedAgain = memory.writes.run(again, () => memory.freshWriter().undo(seq + 1));
      memory.writes.run(Infinity, () => memory.freshWriter().undo(seq + 1));
      if (wrong() !== '') t.fail(`deaths at writes ${at} and ${again}: ${wrong()}`);
      memory.writes.run(Infinity, () => memory.sweep());
      const left = memory.store.size - model.products.size;
      if (wrong() !== '' || left !== 0) t.fail(`after death ${at}, ${again}: ${left}, ${wrong()}`);
      restore();
    }
  }
  t.ok(at > 100, `${at} deaths`);
  t.end();
});
