/**
 * The check of clients' histories itself: it finds nothing in histories of a cluster that keeps its promises, and each
 * way to break one is found, under the name of the rule that it breaks.
 */
import t, { type Test } from 'tap';
import {
  type ClientHistory,
  faultsOf,
  type Read,
  type Write,
} from '../helpers/consistency/client-history.ts';
import { simulatedHistory } from '../helpers/consistency/simulated-cluster.ts';
import { Random, testSeed } from '../helpers/models/random.ts';

const HISTORIES = 300;
const STEPS = 80;
const seed = testSeed();

const write = (n: number, more: Partial<Write> = {}): Write => ({
  product: 'p',
  key: `k${n}`,
  fields: { price: n, stock: n },
  occurredAtMs: n,
  startMs: n * 10,
  endMs: n * 10 + 5,
  seqs: [n],
  ...more,
});
const read = (n: number, more: Partial<Read> = {}): Read => ({
  product: 'p',
  instance: 'a',
  minSeq: 0,
  startMs: n * 10 + 6,
  endMs: n * 10 + 7,
  found: { price: n, stock: n, version: n },
  ...more,
});

/** Three events, each acknowledged and read. */
const GOOD: ClientHistory = {
  writes: [write(1), write(2), write(3)],
  reads: [read(1), read(2), read(3)],
  last: [read(3), read(3, { instance: 'b' })],
};

function finds(t: Test, rule: string, broken: Partial<ClientHistory>): void {
  const faults = faultsOf({ ...GOOD, ...broken });
  t.ok(
    faults.some((fault) => fault.startsWith(`${rule}: `)),
    `${rule}: ${faults.join('; ')}`,
  );
}

t.test(`${HISTORIES} histories of a cluster that keeps its promises (seed ${seed})`, (t) => {
  const random = new Random(seed);
  t.strictSame(faultsOf(GOOD), []);
  let reads = 0;
  for (let i = 0; i < HISTORIES; i++) {
    const history = simulatedHistory(random, STEPS);
    const faults = faultsOf(history);
    reads += history.reads.length;
    if (faults.length > 0) t.strictSame(faults, [], `history ${i}`);
  }
  t.ok(reads > (HISTORIES * STEPS) / 4);
  t.end();
});

t.test('a value that nobody sent, or nobody had sent yet', (t) => {
  finds(t, 'known', { reads: [read(2, { found: { price: 7, stock: 2, version: 2 } })] });
  finds(t, 'known', { reads: [read(3, { startMs: 1, endMs: 2 })] });
  const ofAnother = write(9, { product: 'q' });
  const found = { price: 9, stock: 3, version: 3 };
  finds(t, 'known', { writes: [...GOOD.writes, ofAnother], reads: [read(3, { found })] });
  t.end();
});

t.test('a state of two: one field older than the version says', (t) => {
  finds(t, 'whole', { reads: [read(3, { found: { price: 3, stock: 2, version: 3 } })] });
  finds(t, 'whole', { reads: [read(3, { found: { price: 3, stock: 3, version: 2 } })] });
  finds(t, 'whole', { reads: [read(3, { found: { price: null, stock: 3, version: 3 } })] });
  t.end();
});

t.test('an older event time that won', (t) => {
  const late = write(4, { occurredAtMs: 1.5 });
  const found = { price: 4, stock: 4, version: 4 };
  finds(t, 'whole', { writes: [...GOOD.writes, late], reads: [read(4, { found })] });
  const kept = read(4, { found: { price: 3, stock: 3, version: 3 } });
  const last = [read(4, kept), read(4, { ...kept, instance: 'b' })];
  t.strictSame(faultsOf({ writes: [...GOOD.writes, late], reads: [kept], last }), []);
  t.end();
});

t.test('an acknowledged event that is not there', (t) => {
  const lost = (n: number, instance: string) =>
    read(n, { instance, minSeq: 3, found: { price: 2, stock: 2, version: 2 } });
  finds(t, 'min_seq', { reads: [lost(3, 'a')] });
  finds(t, 'min_seq', { last: [lost(9, 'a'), lost(9, 'b')] });
  finds(t, 'min_seq', { reads: [read(3, { minSeq: 1, found: undefined })] });
  t.end();
});

t.test('an arriving event that an earlier one hid', (t) => {
  const writes = GOOD.writes.map((one) => ({ ...one, occurredAtMs: undefined }));
  const found = { price: 2, stock: 2, version: 3 };
  finds(t, 'whole', { writes, reads: [read(3, { found })] });
  t.strictSame(faultsOf({ ...GOOD, writes }), []);
  t.end();
});

t.test('an instance that goes back', (t) => {
  finds(t, 'forward', { reads: [read(3), read(2, { startMs: 41, endMs: 42 })] });
  const gone = read(2, { startMs: 41, endMs: 42, found: undefined });
  finds(t, 'forward', { reads: [read(3), gone] });
  const elsewhere = read(2, { startMs: 41, endMs: 42, instance: 'b' });
  t.strictSame(faultsOf({ ...GOOD, reads: [read(3), elsewhere] }), [], 'another may be behind');
  t.end();
});

t.test('a key with two seqs, a seq with two keys', (t) => {
  finds(t, 'one seq', { writes: [write(1), write(2), write(3, { seqs: [3, 4] })] });
  finds(t, 'one seq', { writes: [...GOOD.writes, write(4, { seqs: [3] })] });
  t.end();
});

t.test('a seq against the order in time', (t) => {
  finds(t, 'order', { writes: [write(1, { seqs: [2] }), write(2, { seqs: [1] }), write(3)] });
  const beside = write(1, { seqs: [2], endMs: 25 });
  const writes = [beside, write(2, { seqs: [1] }), write(3)];
  t.notMatch(
    faultsOf({ ...GOOD, writes }).join(),
    /order: /,
    'not where they were under way together',
  );
  t.end();
});

t.test('instances that differ in the end', (t) => {
  const other = read(3, { instance: 'b', found: { price: 3, stock: 3, version: 2 } });
  finds(t, 'equal', { last: [read(3), other] });
  t.end();
});

t.test('what was not acknowledged may be there, or not', (t) => {
  const open = write(4, { seqs: [], endMs: Number.POSITIVE_INFINITY });
  const writes = [...GOOD.writes, open];
  t.strictSame(faultsOf({ ...GOOD, writes }), []);
  const found = { price: 4, stock: 4, version: 4 };
  const last = ['a', 'b'].map((instance) => read(9, { instance, found }));
  t.strictSame(faultsOf({ writes, reads: GOOD.reads, last }), []);
  t.end();
});
