/** A stream's messages, as a real NATS server hands them out: what went in comes out, by both ways, byte by byte. */
import { randomBytes } from 'node:crypto';
import { existsSync } from 'node:fs';
import { connect, headers } from '@nats-io/transport-node';
import t from 'tap';
import { StreamApi } from '../../src/replication/stream-api.ts';
import { startNats } from '../helpers/servers/nats-server.ts';

const isMissing = !existsSync('/usr/sbin/nats-server');
const skip = isMissing && process.env.CI !== 'true';
/** Looks like the place that is searched for, in all that is not the data. */
const MISLEADING = '"data":"AAAA"';
const BODIES = [
  Buffer.from([0]),
  Buffer.from(MISLEADING),
  ...[1, 2, 3, 1000].map((bytes) => randomBytes(bytes)),
  randomBytes((1 << 20) - 1024),
  Buffer.alloc(0),
];

t.test('messages of all sizes', { skip }, async (t) => {
  const nats = await startNats(t);
  const connection = await connect({ servers: nats.url });
  t.teardown(() => connection.close());
  const api = new StreamApi(connection, 'S');
  await api.create({ subjects: ['s.>'], allow_direct: true });
  for (const body of BODIES) {
    const around = headers();
    around.set('Other', MISLEADING);
    await connection.request(`s.${MISLEADING}`, body, { headers: around, timeout: 10_000 });
  }
  for (const [i, body] of BODIES.entries()) {
    const expected = body.toString('hex');
    const [leaders, direct] = [await api.leaders(i + 1), await api.direct(i + 1)];
    t.equal(Buffer.from(leaders ?? 'none').toString('hex'), expected, `${body.length} bytes`);
    t.equal(Buffer.from(direct ?? 'none').toString('hex'), expected);
  }
  const end = BODIES.length + 1;
  t.same([await api.leaders(end), await api.direct(end)], [undefined, undefined], 'the end');
  const none = new StreamApi(connection, 'NONE');
  await t.rejects(none.leaders(1), { message: 'stream not found', code: 10059 });
});
