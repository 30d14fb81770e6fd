/** What may go from the stream, and the moments in which it must not. */
import t from 'tap';
import {
  type Answer,
  HEARD_MS,
  type StreamFill,
  TrimPlan,
} from '../../src/replication/trim-plan.ts';

const MINUTE_MS = 60_000;
const LOOK_MS = 5000;
const fill = (share: number, last = 1000): StreamFill => ({
  ...{ bytes: share * 1e6, bytesMax: 1e6, first: 1, last },
});
const full = (id: string, kept: number): Answer => ({ id, role: 'full', kept });
const reader = (id: string, kept: number): Answer => ({ id, role: 'reader', kept });

/** A plan that has listened, as instance a, to these answers; what it says last. */
function listened(answers: readonly Answer[], of: StreamFill, forMs = MINUTE_MS / 2) {
  const plan = new TrimPlan('a');
  let begins: number | undefined;
  for (let ms = 0; ms <= forMs; ms += LOOK_MS) begins = plan.begins(of, answers, ms);
  return { plan, begins };
}

t.test('it goes on behind what all have on disk, and leaves a quarter', (t) => {
  const both = [full('a', 1000), full('b', 1000)];
  t.equal(listened(both, fill(0.5)).begins, undefined, 'half full: nothing goes');
  t.equal(listened(both, fill(0.6)).begins, 1 + Math.floor(1000 * (1 - 0.25 / 0.6)));
  t.equal(listened([full('a', 1000), full('b', 90)], fill(0.6)).begins, 91);
  t.equal(listened([full('a', 1000), reader('b', 90)], fill(0.6)).begins, 91, 'readers, too');
  t.equal(listened([full('a', 1000), full('b', 0)], fill(0.6)).begins, undefined, 'it starts');
  t.equal(listened([...both, full('0', 1000)], fill(0.6)).begins, undefined, 'another does it');
  t.equal(listened([...both, reader('0', 1000)], fill(0.6)).begins, 584);
  t.equal(listened([full('b', 1000), full('c', 1000)], fill(0.6)).begins, undefined, 'not asked');
  t.end();
});

t.test('who has not listened does not trim', (t) => {
  const both = [full('a', 1000), full('b', 1000)];
  const { begins } = listened(both, fill(0.95), HEARD_MS - LOOK_MS);
  t.equal(begins, undefined);
  t.end();
});

t.test('who is silent for a moment is reckoned with', (t) => {
  const { plan } = listened([full('a', 1000), full('b', 1000), full('c', 50)], fill(0.6));
  const rest = [full('a', 1000), full('b', 1000)];
  const now = MINUTE_MS / 2;
  t.equal(plan.begins(fill(0.6), rest, now + HEARD_MS), 51, 'it may be restarting');
  t.equal(plan.begins(fill(0.6), rest, now + HEARD_MS + 1), 584, 'it is gone');
  t.end();
});

t.test('one copy on disk is not enough before three quarters', (t) => {
  const alone = [full('a', 1000)];
  t.equal(listened(alone, fill(0.75)).begins, undefined);
  t.equal(listened(alone, fill(0.76)).begins, 1 + Math.floor(1000 * (1 - 0.25 / 0.76)));
  t.end();
});

t.test('who does not get on holds nothing when the stream is nearly full; who does, does', (t) => {
  const behind = [full('a', 1000), full('b', 1000), full('c', 7)];
  t.equal(listened(behind, fill(0.9), 2 * MINUTE_MS).begins, 8);
  t.equal(listened(behind, fill(0.91), MINUTE_MS - LOOK_MS).begins, 8);
  t.equal(listened(behind, fill(0.91), MINUTE_MS).begins, 1 + Math.floor(1000 * (1 - 0.25 / 0.91)));
  const plan = new TrimPlan('a');
  let begins: number | undefined;
  for (let i = 0; i <= 24; i++) {
    begins = plan.begins(fill(1), [full('a', 1000), full('b', 1000), full('c', i)], i * LOOK_MS);
  }
  t.equal(begins, 25, 'slow, but it follows');
  t.end();
});
