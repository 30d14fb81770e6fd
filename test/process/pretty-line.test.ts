/** A line of the log in a terminal. */
import t from 'tap';
import { prettyLine } from '../../src/process/pretty-line.ts';

const TIME = new Date(2026, 10, 29, 17, 5, 9, 7).getTime();

function pretty(members: object, hasColors = false): string {
  const line = { level: 30, time: TIME, pid: 1, hostname: 'h', ...members };
  return prettyLine(`${JSON.stringify(line)}\n`, hasColors);
}

t.test('time, level, message, and what else there is', (t) => {
  t.equal(pretty({ msg: 'stopped' }), '17:05:09.007 info  stopped\n');
  const more = { msg: 'm', signal: 'SIGTERM', events: 3, config: { PORT: '0' } };
  t.equal(pretty(more), '17:05:09.007 info  m signal=SIGTERM events=3 config={"PORT":"0"}\n');
  t.equal(pretty({ level: 50, msg: 'm' }), '17:05:09.007 error m\n');
  t.equal(pretty({ level: 35, msg: 'm' }), '17:05:09.007 ?     m\n');
  t.match(pretty({ msg: 'm', long: 'x'.repeat(1000) }), /long=x{120}…\n$/);
  t.end();
});

t.test('an error has its stack below', (t) => {
  const err = { type: 'Error', message: 'no', stack: 'Error: no\n    at here' };
  t.equal(pretty({ msg: 'm', err }), '17:05:09.007 info  m\n    Error: no\n        at here\n');
  t.end();
});

t.test('a terminal is told nothing by values', (t) => {
  const evil = '\u001b]0;title\u0007\u001b[2Jx\u0000\u009b\ry';
  const text = pretty({ msg: evil, value: evil, err: { stack: `E: ${evil}` } });
  t.notMatch(text.replaceAll('\n', ''), /\p{Cc}/u);
  t.match(text, /x/);
  t.end();
});

t.test('colours only where they are wanted; no JSON stays as it is', (t) => {
  t.match(pretty({ msg: 'm' }, true), '\u001b[32minfo \u001b[39m');
  t.equal(prettyLine('no JSON\n', true), 'no JSON\n');
  t.end();
});
