/** One slice of bulk work in a turn of the event loop, whoever asked first. */
import t from 'tap';
import { FairTurns } from '../../src/intake/fair-turns.ts';

t.test('gives each turn of the event loop to one, in the order of asking', async (t) => {
  const turns = new FairTurns();
  const log: string[] = [];
  let turn = 0;
  let isDone = false;
  const count = () => {
    turn++;
    if (!isDone) setImmediate(count);
  };
  setImmediate(count);
  const importer = async (name: string) => {
    for (let slice = 0; slice < 3; slice++) {
      await turns.next();
      log.push(name);
    }
    return turn;
  };
  const ends = await Promise.all(['a', 'b', 'c'].map(importer));
  isDone = true;
  t.strictSame(log, ['a', 'b', 'c', 'a', 'b', 'c', 'a', 'b', 'c']);
  t.ok(Math.max(...ends) >= 8, 'nine slices took nine turns');
});

t.test('goes on after a pause', async (t) => {
  const turns = new FairTurns();
  await turns.next();
  await turns.next();
  await new Promise(setImmediate);
  await turns.next();
  t.pass('three turns came');
});
