/**
 * What the bench of single requests measures the service against: node:http and nothing else. It parses what
 * is posted and answers the same text each time. A process of its own; says where it listens and ends on SIGTERM.
 */
import { createServer, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';

function answer(response: ServerResponse, status: number, json: string): void {
  response.statusCode = status;
  response.setHeader('content-type', 'application/json');
  response.setHeader('content-length', json.length);
  response.end(json);
}

const server = createServer((request, response) => {
  if (request.method !== 'POST') {
    answer(response, 200, '{"id":"abc","price":1,"stock":2}');
    return;
  }
  let body = '';
  request.on('data', (chunk) => {
    body += chunk;
  });
  request.on('end', () => {
    JSON.parse(body);
    answer(response, 202, '{"status":"accepted","seq":1}');
  });
});

process.once('SIGTERM', () => process.exit(0));
server.listen(0, '127.0.0.1', () => {
  console.log(`ready on http://127.0.0.1:${(server.address() as AddressInfo).port}`);
});
