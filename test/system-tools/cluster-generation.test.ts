/**
 * The stream loses its end, and the cluster goes on from the instance that knows most: the runbook of docs/cluster.md.
 * One that stands still meanwhile, so that nobody hears of it, comes back to the old stream, which is restored as it was.
 */
import { cpSync, existsSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import t from 'tap';
import { commandsOf } from '../../.ci/readme-commands.ts';
import { ClusterUnderTest } from '../helpers/replication/cluster-under-test.ts';
import { startNats } from '../helpers/servers/nats-server.ts';

const isMissing = !existsSync('/usr/sbin/nats-server');
const skip = isMissing && process.env.CI !== 'true';
const PAGE = readFileSync(new URL('../../docs/cluster.md', import.meta.url), 'utf8').replaceAll(
  /^ {3}/gm,
  '',
);
const BEGIN = commandsOf(PAGE).find((command) => command.includes('--from')) ?? '';
const SHOW = /`(product-service tail [^`]+)`/.exec(PAGE)?.[1] ?? '';

t.setTimeout(600_000);

t.test('a new generation begins with the data of an instance', { skip }, async (t) => {
  const nats = await startNats(t);
  const cluster = await ClusterUnderTest.begin(t, nats.url, 1);
  const a = await cluster.start('a');
  const b = await cluster.start('b');
  const key = { 'idempotency-key': 'k' };
  const first = await b.post({ product_id: 'p', price: 1, stock: 1 }, key);
  await a.get('p', Number(first.body.seq));
  const [c, d] = await Promise.all([cluster.start('c'), cluster.start('d')]);
  await b.stop();
  c.process.kill('SIGSTOP');
  // A power failure: NATS loses what came last, and the instance has it.
  const [server] = nats.servers;
  await server?.kill();
  const restore = nats.copy();
  await server?.start();
  await cluster.polled(async () => ((await a.ready()).status === 200 ? true : undefined));
  const last = await a.post({ product_id: 'p', price: 2, stock: 1 });
  t.equal(last.status, 202);
  await d.get('p', Number(last.body.seq));
  await server?.kill();
  restore();
  await server?.start();
  await cluster.polled(async () => (a.forked() && d.forked() ? true : undefined));
  d.process.kill('SIGSTOP');
  t.match(await a.get('p'), { status: 200, body: { price: 2 } });

  // One that had not read what was lost goes on, and acknowledges another event under the same number.
  c.process.kill('SIGCONT');
  t.equal(await cluster.posted(c, { product_id: 'went-on', price: 9, stock: 1 }), last.body.seq);
  c.process.kill('SIGSTOP');
  await server?.kill();
  const unseal = nats.copy();
  await server?.start();

  // It is back at the server, too.
  await cluster.status(1);
  t.match(cluster.shell('b', BEGIN), /an instance of generation 1 is up .*: stop all of them/);
  await a.stop();
  t.match(cluster.shell('a', BEGIN), /generation 2 begins behind seq 2, with the data in/);
  t.match(cluster.shell('b', BEGIN), /goes on as generation 2, which was not begun from/);

  // As if it had been killed before it was done.
  const file = (name: string) => join(cluster.dataOf('a'), name);
  const done = JSON.parse(readFileSync(file('cluster.json'), 'utf8'));
  const { generation: _, base, ...before } = done.genesis;
  writeFileSync(file('cluster.json'), JSON.stringify({ ...done, genesis: before }));
  writeFileSync(file('next-generation.json'), JSON.stringify(base));
  t.match(
    await cluster.tries('a', {}),
    /that was cut off: run "product-service cluster init --from"/,
  );
  t.match(cluster.shell('a', BEGIN), /generation 2 begins behind seq 2, with the data in/);
  t.notOk(existsSync(file('next-generation.json')));

  const back = await cluster.start('a');
  const found = await back.get('p');
  t.match(found, { status: 200, body: { price: 2 } });
  t.equal(found.headers.get('etag'), `"${last.body.seq}"`, 'its ETag');
  const again = await back.post({ product_id: 'p', price: 1, stock: 1 }, key);
  t.equal(again.body.seq, first.body.seq, 'keys are known');
  const next = await back.post({ product_id: 'q', price: 3, stock: 1 });
  t.equal(next.body.seq, 3, 'numbers go on');
  t.match(cluster.shell('a', BEGIN), /is held by/);

  // One that knows already, or is about to, that its stream is another one hears what has become of the cluster.
  d.process.kill('SIGCONT');
  const saysSo = ({ reason }: (typeof d.process.log)[number]) =>
    /^(the stream ends at .*; )?the cluster goes on as another generation$/.test(String(reason));
  await cluster.polled(async () => (d.process.log.some(saysSo) ? true : undefined));
  await d.kill();

  // The old stream, as it was before it was sealed.
  await server?.kill();
  unseal(`PS_${cluster.name}_1`);
  await server?.start();
  await cluster.polled(async () => ((await back.ready()).status === 200 ? true : undefined));
  c.process.kill('SIGCONT');
  const late = { product_id: 'late', price: 1, stock: 1 };
  const knows = () =>
    c.process.log.some(({ reason }) => reason === 'the cluster goes on as another generation');
  await cluster.polled(async () => {
    const isKnown = knows();
    const { status, body } = await c.post(late);
    if (status !== 503) throw new Error(`generation 1 took it: ${status} ${body.seq}`);
    return isKnown ? true : undefined;
  });
  t.match(await c.get('p'), { status: 200, body: { price: 1 } }, 'its reads go on');
  await c.kill();

  // What only that one had acknowledged is in its data: shown as the docs say.
  t.equal((await back.get('went-on')).status, 404);
  cpSync(cluster.dataOf('c'), cluster.dataOf('alone'), { recursive: true });
  rmSync(join(cluster.dataOf('alone'), 'cluster.json'));
  const alone = await cluster.start('alone', { LOG: 'file', CLUSTER: '', NATS_URL: '' });
  const env = { PRODUCT_SERVICE_URL: `http://127.0.0.1:${alone.port}` };
  const shown = cluster.shell('alone', `${SHOW.replace('SEQ', '1')} --count 1`, env);
  t.match(shown, /"seq":2,"product_id":"went-on"/);
  await alone.kill();

  // Whoever has data of before is refused, and joins anew without it.
  const [line] = (await cluster.tries('b', {})).split('\n');
  t.match(
    line,
    /is of generation 1 of the cluster .*, which goes on as generation 2: move it away/,
  );
  renameSync(cluster.dataOf('b'), `${cluster.dataOf('b')}-before`);
  const other = await cluster.start('b');
  t.match(await other.get('q', 3), { status: 200, body: { price: 3 } });
  t.strictSame(await other.pages(), await back.pages());
  const { body } = await other.post({ product_id: 'p', price: 4, stock: 1 });
  t.equal(body.seq, 4);
  t.match(await back.get('p', 4), { status: 200, body: { price: 4 } });
  const { generation } = await cluster.agreed(2);
  t.equal(generation, 2, 'and one chain');
});
