/**
 * One thread stores the log's progress as fast as it can, this one loads it.
 *
 * Allowed:   a whole record, as new as the last one or newer · none, before the first was seen
 * Forbidden: fields of two records in one · an older one than before · none, after one was seen
 */
import { once } from 'node:events';
import { isDeepStrictEqual } from 'node:util';
import { Worker } from 'node:worker_threads';
import t from 'tap';
import { LogProgress, progressBytes } from '../../src/ring/progress.ts';
import { scaled } from '../helpers/threads/race-scale.ts';
import { FURTHER, progressOf, type StoringProgressData } from './storing-progress.ts';

const CHANGES = scaled(4_000, 500_000);

t.test(`${CHANGES} records that are loaded are whole`, async (t) => {
  const data: StoringProgressData = {
    progress: new SharedArrayBuffer(progressBytes(FURTHER)),
    stop: new Int32Array(new SharedArrayBuffer(4)),
  };
  const progress = new LogProgress(data.progress);
  const url = new URL('./storing-progress.ts', import.meta.url);
  const ended = once(new Worker(url, { workerData: data }), 'exit');
  while (progress.load() === undefined) await new Promise(setImmediate);
  let last = 0;
  let forbidden = '';
  for (let changes = 0; forbidden === '' && changes < CHANGES; ) {
    const found = progress.load();
    const n = found?.nextSeq ?? 0;
    if (n < last) forbidden = `${n} after ${last}`;
    else if (!isDeepStrictEqual(found, progressOf(n))) forbidden = JSON.stringify(found);
    if (n !== last) changes++;
    last = n;
  }
  Atomics.store(data.stop, 0, 1);
  await ended;
  t.equal(forbidden, '');
  t.comment(`${last} records stored`);
});
