/** The contract of histories, on a file of SQLite. */
import t from 'tap';
import { fileWorld } from './file-world.ts';
import { describeHistory } from './history-contract.ts';

const MODEL_RUNS = 150;

describeHistory('a file', fileWorld, MODEL_RUNS);

t.test('a file: what is of another log is forgotten', async (t) => {
  const { makeStore } = await fileWorld(t);
  const store = makeStore();
  t.teardown(() => store.close());
  await store.open();
  const field = { value: 1, atMs: 1, wholeFromMs: 1, marks: [], tail: undefined };
  const product = { no: 0, id: 'a', version: 9, fields: [{ ...field }, { ...field }] } as const;
  await store.write([{ ...product }], { seq: 9, prunedToMs: 5 });
  t.strictSame(await store.open(), { seq: 9, prunedToMs: 5 });
  await store.clear('it is another one');
  t.strictSame(await store.open(), { seq: 0, prunedToMs: Number.NEGATIVE_INFINITY });
  t.strictSame(await store.find(['a']), []);
});
