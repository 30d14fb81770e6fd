/** What readiness is made of: which facts turn which check red, and what it says then. */
import t from 'tap';
import { checksOf, type HealthFacts, stallText } from '../../src/health/checks.ts';

const WELL: HealthFacts = {
  phase: 'ready',
  wasReady: true,
  replayedPercent: undefined,
  isReader: false,
  isLogAvailable: true,
  diskHasRoom: true,
  isFolderWhole: true,
  stalls: [],
  hasLoops: false,
  products: 5,
  productsMax: 10,
};
const LOG = { name: 'log', pending: 3, forMs: 5120 };
const LOOP = { name: 'http-1', pending: undefined, forMs: 5_000 };
const APPLIER = { name: 'applier 1', pending: 70, forMs: 6000 };

/** `name: state`, those that are red marked. */
function shown(facts: Partial<HealthFacts>): string {
  return checksOf({ ...WELL, ...facts })
    .map(({ name, ok, state }) => `${ok ? '' : '!'}${name}: ${state}`)
    .join(', ');
}

t.test('each fact shows in its own check', (t) => {
  const well =
    'log: serving, appliers: applying, store: whole, disk: has-room, replay: done, draining: no';
  t.equal(shown({}), well);
  const changed = (from: string, to: string) => well.replace(from, to);
  t.equal(shown({ isLogAvailable: false }), changed('log: serving', '!log: unavailable'));
  t.equal(shown({ stalls: [LOG] }), changed('log: serving', '!log: stalled'));
  t.equal(shown({ stalls: [APPLIER] }), changed('appliers: applying', '!appliers: stalled'));
  const several = changed('applying', 'applying, http: serving');
  t.equal(shown({ hasLoops: true }), several);
  const hangs = several.replace('http: serving', '!http: stalled');
  t.equal(shown({ hasLoops: true, stalls: [LOOP] }), hangs);
  t.equal(shown({ diskHasRoom: false }), changed('disk: has-room', '!disk: full'));
  t.equal(shown({ isFolderWhole: false }), changed('disk: has-room', '!disk: files-missing'));
  t.equal(shown({ products: 10 }), changed('store: whole', 'store: full'), 'it is not red');
  t.equal(shown({ phase: 'draining' }), changed('draining: no', '!draining: draining'));
  const starting =
    '!log: starting, appliers: applying, !store: restoring, disk: has-room, !replay: running, draining: no';
  t.equal(shown({ phase: 'starting', wasReady: false }), starting);
  t.end();
});

t.test('details are for people', (t) => {
  const details = Object.fromEntries(
    checksOf({ ...WELL, wasReady: false, replayedPercent: 45, stalls: [LOG, APPLIER] }).map(
      ({ name, detail }) => [name, detail],
    ),
  );
  t.match(details, {
    log: 'No progress: log for 5.1 s, with 3 events waiting.',
    appliers: 'No progress: applier 1 for 6 s, with 70 events waiting.',
    store: '5 products, room for 10',
    replay: '45 %',
  });
  t.equal(stallText([]), undefined);
  t.equal(stallText([LOOP]), 'No progress: http-1 for 5 s.');
  t.equal(
    stallText([APPLIER, LOG]),
    'No progress: applier 1 for 6 s, with 70 events waiting; log for 5.1 s, with 3 events waiting.',
  );
  t.end();
});
