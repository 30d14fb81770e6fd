/** Places that two producers share: neither takes all of them while the other one waits. */
import t from 'tap';
import { BulkPlaces, waitNoMore, waitsBytes } from '../../src/intake/bulk-places.ts';
import { Tallies } from '../../src/threads/tallies.ts';

const LIMIT = 400;

function bothProducers() {
  const memory = Tallies.create(1, 2);
  const waits = new SharedArrayBuffer(waitsBytes(2));
  const of = (producer: number, onFree: () => void = () => undefined) => {
    const tallies = new Tallies(memory, 1, producer);
    return new BulkPlaces({ tallies, tally: 0, waits, producer }, onFree);
  };
  return { of, waits };
}

/** Takes and uses all it can get; returns how many. */
function useAll(places: BulkPlaces): number {
  const count = places.lease(LIMIT);
  places.use(count);
  return count;
}

t.test('while one waits, the other takes no more than its part', (t) => {
  const { of, waits } = bothProducers();
  const [one, other] = [of(0), of(1)];
  t.equal(useAll(one), LIMIT, 'alone it may have all');
  t.equal(useAll(other), 0);
  other.waits = true;
  one.settled(100);
  t.equal(useAll(one), 0, 'it has more than its part');
  t.equal(useAll(other), 100);
  one.settled(150);
  t.equal(useAll(one), LIMIT / 2 - 150);
  t.equal(useAll(other), LIMIT / 2 - 100);
  t.notOk(one.hasSome(LIMIT) || other.hasSome(LIMIT));
  other.settled(LIMIT / 2);
  // It is dead, and with it the wait.
  waitNoMore(waits, 1);
  t.equal(useAll(one), LIMIT / 2);
  t.end();
});

t.test('what was taken and not used comes back with the end of the turn', async (t) => {
  const { of } = bothProducers();
  const [one, other] = [of(0), of(1)];
  t.equal(one.lease(LIMIT), LIMIT);
  t.notOk(other.hasSome(LIMIT));
  await new Promise(setImmediate);
  t.equal(one.taken, 0);
  t.equal(useAll(other), LIMIT);
});

t.test('who waits is woken by what another one gives back', async (t) => {
  const { of } = bothProducers();
  const woken = Promise.withResolvers<void>();
  const [one, other] = [of(0), of(1, () => woken.resolve())];
  useAll(one);
  other.waits = true;
  t.notOk(other.watch(() => other.hasSome(LIMIT)));
  one.settled(1);
  const alive = setTimeout(() => woken.reject(new Error('not woken')), 60_000);
  await woken.promise;
  clearTimeout(alive);
  t.equal(useAll(other), 1);
});
