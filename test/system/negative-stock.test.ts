/** STOCK_MIN on the whole service: by every way in, through a restart, out of every way back. */
import t from 'tap';
import { ApiClient } from '../helpers/clients/api-client.ts';
import { tempDir } from '../helpers/disks/temp-dir.ts';
import { startReadyService } from '../helpers/processes/service-in-process.ts';

const NDJSON = { 'content-type': 'application/x-ndjson' };
const LEAST = -Number.MAX_SAFE_INTEGER;

t.test('stock goes down to STOCK_MIN and no further', async (t) => {
  const DATA_DIR = tempDir(t);
  const { service, port } = await startReadyService(t, { DATA_DIR, STOCK_MIN: '-50' });
  const client = new ApiClient(port);
  const event = (product_id: string, stock: number) =>
    JSON.stringify({ product_id, price: 1, stock });
  const ways = (stock: number) => [
    client.send('POST', '/api/v1/events?ack=applied', event('post', stock)),
    client.send('PATCH', '/api/v1/products/patch?ack=applied', `{"price":1,"stock":${stock}}`),
    client.send('POST', '/api/v1/events/batch?ack=applied', event('lines', stock), NDJSON),
    client.send('POST', '/api/v1/events/batch?ack=applied', `[${event('array', stock)}]`),
    client.send(
      'POST',
      '/api/v1/events/batch?ack=applied',
      `{"product_id":"p\\u0061rt","partial":true,"stock":${stock}}`,
      NDJSON,
    ),
  ];
  for (const answer of await Promise.all(ways(-50))) t.equal(answer.status, 200, answer.text);
  for (const answer of await Promise.all(ways(-51))) {
    t.equal(answer.status, 400);
    t.match(answer.text, 'stock must be an integer from -50 to 9007199254740991.');
  }
  const document = JSON.parse((await client.get('/openapi.json')).text);
  const body = document.paths['/api/v1/events'].post.requestBody.content['application/json'];
  t.equal(body.schema.properties.stock.minimum, -50, 'the description says so');
  t.equal(document.components.schemas.BatchEvent.anyOf[0].properties.stock.minimum, -50);
  client.close();
  await service.stop();

  const again = await startReadyService(t, { DATA_DIR, STOCK_MIN: '0' });
  const reader = new ApiClient(again.port);
  t.teardown(() => reader.close());
  for (const id of ['post', 'patch', 'lines', 'array', 'part']) {
    const { text } = await reader.get(`/api/v1/products/${id}`);
    t.equal(JSON.parse(text).stock, -50, `${id} is what it was, whatever is let in now`);
  }
  const { text } = await reader.get('/api/v1/changes?since=0&limit=10');
  t.equal(JSON.parse(text).changes.length, 5);
  for (const change of JSON.parse(text).changes) t.equal(change.stock, -50);
  const refused = await reader.send('POST', '/api/v1/events', event('post', -1));
  t.equal(refused.status, 400);
});

t.test('as far down as up', async (t) => {
  const env = { DATA_DIR: tempDir(t), STOCK_MIN: String(LEAST) };
  const { port } = await startReadyService(t, env);
  const client = new ApiClient(port);
  t.teardown(() => client.close());
  const line = `{"product_id":"p","price":1,"stock":${LEAST}}`;
  const sent = await client.send('POST', '/api/v1/events/batch?ack=applied', line, NDJSON);
  t.equal(sent.status, 200);
  t.equal(JSON.parse((await client.get('/api/v1/products/p')).text).stock, LEAST);
});
