/** An applier's thread that stands still in the middle of an event: readiness turns red, names it, and recovers. */
import { isDeepStrictEqual } from 'node:util';
import t from 'tap';
import { polled } from '../helpers/bounded.ts';
import { type Answer, ApiClient, codeOf } from '../helpers/clients/api-client.ts';
import { tempDir } from '../helpers/disks/temp-dir.ts';
import { startReadyService } from '../helpers/processes/service-in-process.ts';
import { GATED_APPLIER, GATED_PRICE, installApplierGate } from '../helpers/threads/applier-gate.ts';

const WAIT_MS_MAX = 60_000;

t.test('an applier that stands still', async (t) => {
  const gate = installApplierGate();
  t.teardown(() => gate.open());
  const env = { DATA_DIR: tempDir(t), STALL_TIMEOUT: '200ms' };
  const { port, logged } = await startReadyService(t, env, { threads: { applier: GATED_APPLIER } });
  const client = new ApiClient(port);
  t.teardown(() => client.close());
  /** On a machine without CPU time others may stall too, until they come round. */
  const answering = async (wanted: number, pattern: RegExp, states?: readonly string[]) => {
    const isSo = async () => {
      const answer = await client.get('/readyz?verbose');
      const isWanted = answer.status === wanted && pattern.test(answer.text);
      return isWanted && (states === undefined || isDeepStrictEqual(statesIn(answer), states))
        ? answer
        : undefined;
    };
    return polled(isSo, WAIT_MS_MAX, `/readyz to answer ${wanted}`);
  };

  gate.close();
  const price = GATED_PRICE;
  t.equal((await client.post({ product_id: 'p', price, stock: 1 })).status, 202, 'durable it is');
  await gate.arrival();
  const ONE = /"No progress: (applier [01]) for [\d.]+ s, with 1 events waiting\."/;
  const red = await answering(503, ONE, [
    'log true',
    'appliers false',
    'store true',
    'disk true',
    'replay true',
    'draining true',
  ]);
  t.equal(codeOf(red), 'stalled');
  const [, name] = ONE.exec(red.text) ?? [];
  const { checks } = JSON.parse(red.text);
  t.equal((await client.get('/livez')).status, 200);

  gate.open();
  const green = await answering(200, /"ready"/);
  t.match(JSON.parse(green.text), { status: 'ready', checks: { length: checks.length } });
  await client.visible('p', price);
  // It may have been without CPU time before, or since.
  const said = logged.map(({ msg }) => msg).filter((msg) => msg.startsWith(`watchdog: ${name}`));
  t.ok(said.length >= 2);
  const inTurn = [`watchdog: ${name} makes no progress`, `watchdog: ${name} goes on`];
  for (const [i, msg] of said.entries()) t.equal(msg, inTurn[i % 2]);
});

/** Each check and whether it is green, but for that of the HTTP threads. */
function statesIn({ text }: Answer): string[] {
  const { checks } = JSON.parse(text) as { checks: { name: string; ok: boolean }[] };
  return checks.filter(({ name }) => name !== 'http').map(({ name, ok }) => `${name} ${ok}`);
}
