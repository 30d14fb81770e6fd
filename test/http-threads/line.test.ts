/** A line between two threads, over a real port. */
import { MessageChannel } from 'node:worker_threads';
import t, { type Test } from 'tap';
import { Line } from '../../src/http-threads/line.ts';

interface Left {
  double(value: number): number;
}
interface Right {
  add(a: number, b: number): Promise<number>;
  fail(): never;
  note(text: string): void;
}

class OddError extends Error {
  override readonly name = 'OddError';
}

function lines(t: Test) {
  const { port1, port2 } = new MessageChannel();
  const noted: string[] = [];
  const left = new Line<Left, Right>(port1, { double: (value) => 2 * value });
  const right: Line<Right, Left> = new Line<Right, Left>(port2, {
    // Asks back before it answers.
    add: async (a, b) => (await right.ask('double', a)) / 2 + b,
    fail: () => {
      throw new OddError('as it should');
    },
    note: (text) => void noted.push(text),
  });
  t.teardown(() => {
    port1.close();
    port2.close();
  });
  return { left, right, noted };
}

t.test('either end asks the other', async (t) => {
  const { left, right } = lines(t);
  t.strictSame(await Promise.all([left.ask('add', 1, 2), left.ask('add', 3, 4)]), [3, 7]);
  t.equal(await right.ask('double', 21), 42);
});

t.test('an error comes back by its name and its message', async (t) => {
  const { left } = lines(t);
  await t.rejects(left.ask('fail'), { name: 'OddError', message: 'as it should' });
});

t.test('what is told is heard in its order, before what is asked behind it', async (t) => {
  const { left, noted } = lines(t);
  left.tell('note', 'a');
  left.tell('note', 'b');
  await left.ask('add', 1, 1);
  t.strictSame(noted, ['a', 'b']);
});

t.test('who waits for an end that is gone is told, and whoever asks later', async (t) => {
  const { left } = lines(t);
  const asked = left.ask('add', 1, 2);
  left.close();
  await t.rejects(asked, { name: 'LineClosedError' });
  await t.rejects(left.ask('add', 1, 2), { name: 'LineClosedError' });
});
