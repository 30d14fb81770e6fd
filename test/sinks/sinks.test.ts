/** Threads of sinks that die before they run. */
import pino from 'pino';
import t from 'tap';
import { SinkStats } from '../../src/sinks/sink-stats.ts';
import { Sinks, type SinksOptions } from '../../src/sinks/sinks.ts';
import { bounded, polled } from '../helpers/bounded.ts';
import { tempDir } from '../helpers/disks/temp-dir.ts';

const WAIT_MS_MAX = 60_000;

t.test('a thread that can not be made is tried again, and holds up no stop', async (t) => {
  const lines: string[] = [];
  // What can't be cloned can't be handed to a thread.
  const target = { kind: 'sqlite', path: () => undefined } as unknown;
  const sinks = new Sinks({
    sinks: [{ name: 'broken', target, stats: SinkStats.create() }],
    root: tempDir(t),
    memory: {},
    limits: {},
    logger: pino({}, { write: (line: string) => lines.push(line) }),
  } as unknown as SinksOptions);
  sinks.start(1);
  const deaths = () => lines.filter((line) => /its thread ended; replaced/.test(line));
  await polled(() => (deaths().length > 1 ? true : undefined), WAIT_MS_MAX, 'two deaths');
  t.match(deaths()[0], /could not be cloned/);
  const ended = sinks.drain();
  await bounded(ended, WAIT_MS_MAX, 'the drain');
});
