/** A start is killed at each of its calls while data that were taken over are moved in: the next one has them in their places. */
import { spawnSync } from 'node:child_process';
import { existsSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import t, { type Test } from 'tap';
import { TakingPlace } from '../../src/joining/taking-place.ts';
import { tempDir } from '../helpers/disks/temp-dir.ts';
import { underStrace } from '../helpers/processes/strace.ts';

const SCRIPT = fileURLToPath(new URL('resume-place.ts', import.meta.url));
const FOLDERS = ['log', 'checkpoint'];
const FILES = ['replica-0.json', 'cluster.json'];
const NAMES = [...FOLDERS.map((name) => `${name}/file`), ...FILES];
const CALLS_MAX = 40;

function fill(root: string, text: string): void {
  for (const name of FOLDERS) mkdirSync(join(root, name), { recursive: true });
  for (const name of NAMES) writeFileSync(join(root, name), text);
}

/** Whether the `n`th `call` of a start was reached, which then was the last one. */
function isKilledAt(t: Test, call: string, n: number): boolean {
  const root = tempDir(t);
  fill(root, 'old');
  fill(join(root, 'joining/data'), 'new');
  writeFileSync(join(root, 'joining/whole'), '');
  const { under } = underStrace(t, [`${call}:signal=SIGKILL:when=${n}`]);
  const [strace = '', ...args] = [...under, process.execPath, SCRIPT, root];
  const { signal, stderr } = spawnSync(strace, args, { encoding: 'utf8' });
  new TakingPlace(root).resume();
  const what = `${call} ${n}`;
  for (const name of NAMES) t.equal(readFileSync(join(root, name), 'utf8'), 'new', what);
  t.notOk(existsSync(join(root, 'joining')), what);
  const asides = readdirSync(root).filter((name) => name.startsWith('aside-'));
  const kept = asides.flatMap((aside) => readdirSync(join(root, aside)));
  t.strictSame(kept.sort(), [...FOLDERS, ...FILES].sort(), `${what}: each of before once`);
  if (signal === null && stderr !== '') t.fail(stderr);
  return signal === 'SIGKILL';
}

for (const call of ['rename', 'fsync', 'unlinkat', 'rmdir']) {
  t.test(call, (t) => {
    let killed = 0;
    while (killed < CALLS_MAX && isKilledAt(t, call, killed + 1)) killed++;
    t.comment(`killed at ${killed}`);
    t.ok(killed < CALLS_MAX, 'and then no more');
    t.end();
  });
}
