/** Signals that come before there is anything to stop, and those that a command gets. */
import t from 'tap';
import { Signals } from '../../src/process/signals.ts';

const STOP = ['SIGTERM', 'SIGINT', 'SIGQUIT', 'SIGUSR2'] as const;

function handlerOf(got: string[]) {
  return {
    stop: (signal: string, atMs: number) => got.push(`stop ${signal} ${atMs <= performance.now()}`),
    again: (signal: string) => got.push(`again ${signal}`),
    ignored: (signal: string) => got.push(`ignored ${signal}`),
  };
}

t.test('one that comes early is kept, and handed over once', (t) => {
  const signals = new Signals();
  t.equal(signals.isStopping, false);
  process.emit('SIGQUIT', 'SIGQUIT');
  process.emit('SIGHUP', 'SIGHUP');
  t.equal(signals.isStopping, true);
  const got: string[] = [];
  signals.handle(handlerOf(got));
  t.same(got, ['stop SIGQUIT true']);
  process.emit('SIGQUIT', 'SIGQUIT');
  t.same(got, ['stop SIGQUIT true'], 'the same Ctrl-C again, passed on by npm');
  process.emit('SIGHUP', 'SIGHUP');
  process.emit('SIGUSR1', 'SIGUSR1');
  t.same(got.slice(1), ['ignored SIGHUP', 'ignored SIGUSR1']);
  for (const signal of STOP) process.removeAllListeners(signal);
  t.end();
});

t.test('a command gets the default actions back, but never the inspector', (t) => {
  for (const signal of ['SIGHUP', 'SIGUSR1'] as const) process.removeAllListeners(signal);
  const signals = new Signals();
  for (const signal of STOP) t.equal(process.listenerCount(signal), 1, signal);
  signals.release();
  for (const signal of [...STOP, 'SIGHUP']) t.equal(process.listenerCount(signal), 0, signal);
  t.equal(process.listenerCount('SIGUSR1'), 1);
  t.end();
});
