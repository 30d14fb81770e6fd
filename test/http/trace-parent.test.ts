/** Which traceparent counts, by the W3C's rules. */
import t from 'tap';
import { traceIdOf } from '../../src/http/requests/trace-parent.ts';

const TRACE = '0af7651916cd43dd8448eb211c80319c';
const SPAN = 'b7ad6b7169203331';

t.test('a valid one has its trace, any other none', (t) => {
  const of = (traceparent: string | undefined) => traceIdOf({ traceparent });
  t.equal(of(`00-${TRACE}-${SPAN}-01`), TRACE);
  t.equal(of(`00-${TRACE}-${SPAN}-00`), TRACE, 'sampled or not');
  t.equal(of(`01-${TRACE}-${SPAN}-01-more`), TRACE, 'a later version may go on');
  for (const odd of [
    undefined,
    '',
    `00-${TRACE}-${SPAN}-01-more`,
    `ff-${TRACE}-${SPAN}-01`,
    `00-${'0'.repeat(32)}-${SPAN}-01`,
    `00-${TRACE.toUpperCase()}-${SPAN}-01`,
    `00-${TRACE.slice(1)}-${SPAN}-01`,
    `00-${TRACE}-${SPAN}-01, 00-${TRACE}-${SPAN}-01`,
  ]) {
    t.equal(of(odd), undefined, String(odd));
  }
  t.end();
});
