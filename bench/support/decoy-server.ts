/**
 * A server that holds slow clients and does nothing for them: what they send it drops, and what was asked once from
 * ANSWER_URL it writes to each whose request is whole at once. It closes a socket CLOSE_AFTER_SECONDS after it came. A process of its own, which answers
 * each message of its parent with the number of its connections.
 */
import { once } from 'node:events';
import { type AddressInfo, createServer } from 'node:net';
import { env } from 'node:process';

const { CLOSE_AFTER_SECONDS = '', ANSWER_URL = '' } = env;
const body = Buffer.from(await (await fetch(ANSWER_URL)).arrayBuffer());
const head = `HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: ${body.length}\r\n\r\n`;
const answer = Buffer.concat([Buffer.from(head), body]);

const server = createServer({ allowHalfOpen: false }, (socket) => {
  const timer = setTimeout(() => socket.destroy(), Number(CLOSE_AFTER_SECONDS) * 1000);
  socket.once('close', () => clearTimeout(timer));
  socket.on('error', () => socket.destroy());
  socket.on('data', (piece) => {
    if (piece.toString('latin1').startsWith('GET /api/') && piece.includes('\r\n\r\n')) {
      socket.write(answer);
    }
  });
});
process.on('message', () => {
  server.getConnections((_error, count) => process.send?.(count));
});
server.listen({ port: 0, host: '127.0.0.1', backlog: 1024 });
await once(server, 'listening');
console.log(`ready on http://127.0.0.1:${(server.address() as AddressInfo).port}`);
