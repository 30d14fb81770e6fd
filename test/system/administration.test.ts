/** The listener for administration alone: what is on it and what isn't, and that it ends with the service. */
import { connect } from 'node:net';
import t from 'tap';
import { tempDir } from '../helpers/disks/temp-dir.ts';
import { startReadyService } from '../helpers/processes/service-in-process.ts';
import { ServiceProcess } from '../helpers/processes/service-process.ts';
import { claims, SECRET, secretToken } from '../helpers/tokens.ts';

const statusOf = async (port: number | undefined, path: string) => {
  const answer = await fetch(`http://127.0.0.1:${port}${path}`);
  await answer.arrayBuffer();
  return answer.status;
};

t.test('administration has a listener of its own where ADMIN_PORT says so', async (t) => {
  const { service, port } = await startReadyService(t, { DATA_DIR: tempDir(t), ADMIN_PORT: '0' });
  const { adminPort } = service;
  t.ok(adminPort !== undefined && adminPort !== port);
  for (const path of ['/health', '/livez', '/readyz']) {
    t.equal(await statusOf(port, path), 200, path);
    t.equal(await statusOf(adminPort, path), 200, `${path}, there`);
  }
  for (const path of ['/api/v1/products', '/api/v1/changes?limit=1', '/docs', '/openapi.json']) {
    t.equal(await statusOf(port, path), 200, path);
    t.equal(await statusOf(adminPort, path), 404, `${path}, there`);
  }
  t.equal(await statusOf(port, '/metrics'), 404);
  t.equal(await statusOf(adminPort, '/metrics'), 200);
});

t.test('with authentication it takes the role there, too, and the probes take none', async (t) => {
  const { service } = await startReadyService(t, {
    DATA_DIR: tempDir(t),
    ADMIN_PORT: '0',
    JWT_SECRET: SECRET,
  });
  const ask = async (path: string, roles: string[] | undefined) => {
    const token = roles === undefined ? undefined : await secretToken(claims({ roles }));
    const headers = token === undefined ? {} : { authorization: `Bearer ${token}` };
    const answer = await fetch(`http://127.0.0.1:${service.adminPort}${path}`, { headers });
    await answer.arrayBuffer();
    return answer.status;
  };
  t.equal(await ask('/readyz', undefined), 200);
  t.equal(await ask('/metrics', undefined), 401);
  t.equal(await ask('/metrics', ['writer']), 403);
  t.equal(await ask('/metrics', ['admin']), 200);
  t.equal(await ask('/api/v1/products', undefined), 401);
  t.equal(await ask('/api/v1/products', ['admin']), 404);
});

t.test("without ADMIN_PORT it is on the service's own, for this machine", async (t) => {
  const { service, port } = await startReadyService(t, { DATA_DIR: tempDir(t) });
  t.equal(service.adminPort, undefined);
  t.equal(await statusOf(port, '/metrics'), 200);
  const forwarded = { 'x-forwarded-for': '192.0.2.7' };
  const answer = await fetch(`http://127.0.0.1:${port}/metrics`, { headers: forwarded });
  t.equal(answer.status, 403);
  t.match(await answer.json(), { code: 'forbidden' });
});

t.test('it is logged, drains and ends with the service', async (t) => {
  const service = await ServiceProcess.start(t, { cwd: tempDir(t), env: { ADMIN_PORT: '0' } });
  const { msg } = await service.logged('administration on ');
  const adminPort = Number(new URL(msg.replace('administration on ', '')).port);
  t.equal(await statusOf(adminPort, '/readyz'), 200);
  // A service that has not taken it from the kernel yet resets it.
  const idle = connect(adminPort, '127.0.0.1').on('error', () => undefined);
  const ended = new Promise((resolve) => idle.on('close', resolve));
  t.strictSame(await service.stop(), { code: 0, signal: null });
  await ended;
});

t.test('a port that is taken stops the start in one line', async (t) => {
  const { port } = await startReadyService(t, { DATA_DIR: tempDir(t) });
  const service = ServiceProcess.spawn(t, { cwd: tempDir(t), env: { ADMIN_PORT: String(port) } });
  t.strictSame(await service.exit(), { code: 1, signal: null });
  t.match(service.stderr, /^product-service: [^\n]*EADDRINUSE[^\n]*\n$/);
});
