/** The real process at its most talkative: what comes out on its streams has no secret in it. */
import t from 'tap';
import { tempDir } from '../helpers/disks/temp-dir.ts';
import { ServiceProcess } from '../helpers/processes/service-process.ts';

const SECRET = 'hunter2-hunter2-hunter2';
const TRACE = '0af7651916cd43dd8448eb211c80319c';

t.test('a start says its configuration once, and no request leaves its secrets', async (t) => {
  const env = { LOG_LEVEL: 'trace', MAX_MEMORY_USAGE: '16MB', WORKERS: '1', SHARDS: '2' };
  const service = await ServiceProcess.start(t, { cwd: tempDir(t), env });
  const port = await service.ready();
  const configurations = service.log.filter(({ msg }) => msg.startsWith('configuration: '));
  t.equal(configurations.length, 1);
  t.match(configurations[0]?.msg, 'MAX_MEMORY_USAGE=16MB');
  t.match(configurations[0]?.config, { LOG_LEVEL: 'trace', WORKERS: '1', QUEUE_SIZE: '1000' });

  const headers = {
    authorization: `Bearer ${SECRET}`,
    cookie: `session=${SECRET}`,
    'x-api-key': SECRET,
    'x-request-id': 'mine',
    traceparent: `00-${TRACE}-b7ad6b7169203331-01`,
  };
  const address = `http://127.0.0.1:${port}`;
  for (const path of ['/api/v1/products/p', '/livez', '/nowhere', '/%ff']) {
    const answer = await fetch(`${address}${path}?access_token=${SECRET}&x=1`, { headers });
    t.equal(answer.headers.get('x-request-id'), 'mine', path);
    await answer.arrayBuffer();
  }
  // The last one: the others are there.
  t.match(await service.logged('answered before any route'), { reqId: 'mine', status: 400 });
  t.match(
    service.log.find(({ msg }) => msg === 'answered'),
    {
      reqId: 'mine',
      trace_id: TRACE,
      status: 400,
      url: /access_token=\*\*\*&x=1$/,
    },
  );
  t.strictSame(await service.stop(), { code: 0, signal: null });
  t.equal(service.log.filter(({ msg }) => msg === 'answered').length, 3, 'one line each');
  t.notMatch(service.stdout, SECRET);
  t.notMatch(service.stderr, SECRET);
});
