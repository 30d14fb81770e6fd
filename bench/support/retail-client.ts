/**
 * Sends a file of events as one batch and prints the answer: what a shop's import script would do.
 *   node bench/support/retail-client.ts <url> <file.ndjson or file.ndjson.gz>
 */
import { createReadStream } from 'node:fs';
import { request } from 'node:http';

const [url = '', file = ''] = process.argv.slice(2);
const call = request(`${url}/api/v1/events/batch?on_error=continue&ack=applied`, {
  method: 'POST',
  headers: {
    'content-type': 'application/x-ndjson',
    ...(file.endsWith('.gz') ? { 'content-encoding': 'gzip' } : {}),
  },
});
call.on('response', (response) => response.pipe(process.stdout));
createReadStream(file).pipe(call);
