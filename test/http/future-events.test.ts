/** When events from the future are worth a line. */
import t from 'tap';
import { futureFault } from '../../src/event/event-time-faults.ts';
import { FutureEvents } from '../../src/http/writes/future-events.ts';

const CLOCK = [{ pointer: '/price', detail: 'price is missing.' }, futureFault(2e12, 1e12)];
const MICROS = [futureFault(1709294400123456, 1e12)];

t.test('ten within a minute are told, once in that minute, whatever they came by', async (t) => {
  const lines: string[] = [];
  const logger = { warn: (_: object, line: string) => void lines.push(line) };
  let nowMs = 0;
  const future = new FutureEvents(
    logger as unknown as ConstructorParameters<typeof FutureEvents>[0],
    () => nowMs,
  );
  for (let n = 0; n < 9; n++) future.note(CLOCK);
  for (let n = 0; n < 20; n++) future.note(MICROS);
  future.count(0);
  t.same(lines, [], 'a wrong unit is not a wrong clock');
  nowMs += 60_000;
  for (let n = 0; n < 9; n++) future.note(CLOCK);
  t.same(lines, [], 'nine a minute are not many');
  future.count(5000);
  t.equal(lines.length, 1);
  t.match(lines[0], /^clock: 5009 events within a minute were refused because .* says 20.*Z, and/);
  future.count(10);
  t.equal(lines.length, 1);
  nowMs += 60_000;
  future.count(10);
  t.equal(lines.length, 2);
});
