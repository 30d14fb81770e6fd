/** What an import throws away does not make V8's young generation larger than it may be. */
import { execFileSync } from 'node:child_process';
import t from 'tap';

const MODULE = new URL('../../src/cli/import/young-generation.ts', import.meta.url).href;
const YOUNG_MB_MAX = 16;

/** MB of the young generation of a process that makes short-lived objects for a while; at its largest where it is free. */
function youngMb(isLimited: boolean): number {
  const program = `
    const { YoungGeneration } = await import('${MODULE}');
    const { getHeapSpaceStatistics } = await import('node:v8');
    const young = new YoungGeneration();
    const spaceMb = () =>
      getHeapSpaceStatistics().find(({ space_name }) => space_name === 'new_space').space_size / 2 ** 20;
    let kept;
    let most = 0;
    for (let block = 0; block < 400; block++) {
      kept = Array.from({ length: 20_000 }, (_, i) => ({ i, block }));
      if (${isLimited}) young.limit();
      else most = Math.max(most, spaceMb());
    }
    console.log(Math.max(most, spaceMb()), kept.length);
  `;
  const args = ['--input-type=module', '--eval', program];
  const text = execFileSync(process.execPath, args, { encoding: 'utf8', env: {} });
  return Number.parseFloat(text);
}

t.test('it stops growing, and would have grown', (t) => {
  const [limited, free] = [youngMb(true), youngMb(false)];
  t.ok(limited <= YOUNG_MB_MAX, `${limited} MB`);
  t.ok(free > YOUNG_MB_MAX, `${free} MB without it`);
  t.end();
});
