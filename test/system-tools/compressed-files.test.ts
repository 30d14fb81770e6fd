/**
 * Files as the real compressors make them, alone and put together by cat, split and appending shells:
 * all their events are taken, and what is no whole file any more is reported.
 */
import { execFileSync } from 'node:child_process';
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { gunzipSync } from 'node:zlib';
import t from 'tap';
import { type BatchAnswered, sendBatch } from '../helpers/clients/batch-client.ts';
import { tempDir } from '../helpers/disks/temp-dir.ts';
import { startReadyService } from '../helpers/processes/service-in-process.ts';

const RETAIL = new URL('../data/retail-20000-events.ndjson.gz', import.meta.url);
const EVENTS = 20_000;

const folder = tempDir(t);
writeFileSync(join(folder, 'events'), gunzipSync(readFileSync(RETAIL)));
const { port } = await startReadyService(t, { DATA_DIR: join(folder, 'data') });

/** What a shell command writes, in the folder with the events. */
function made(command: string): Buffer {
  return execFileSync('bash', ['-ec', command], { cwd: folder, maxBuffer: 1e9 });
}

const send = (body: Buffer, coding: string, query = ''): Promise<BatchAnswered> =>
  sendBatch(port, body, { query, headers: { 'content-encoding': coding } });

/** Each writes a file of all the events. */
const WHOLE: readonly [coding: string, command: string][] = [
  ['zstd', 'zstd -qc events'],
  ['zstd', 'zstd -qc --ultra -20 --no-check events'],
  ['zstd', 'zstd -qc --long=23 < events'],
  ['zstd', 'pzstd -q -p 4 -c events'],
  ['zstd', "split -l 999 --filter='zstd -qc' events"],
  ['zstd', 'split -n r/3 -u events p.; zstd -qf p.aa p.ab p.ac; cat p.aa.zst p.ab.zst p.ac.zst'],
  ['zstd', ': | zstd -qc; zstd -qc events; : | zstd -qc'],
  [
    'zstd',
    'for part in 1 2 3 4; do split -n l/$part/4 events | zstd -qc >> log.zst; done; cat log.zst',
  ],
  ['br', 'brotli -q 5 -c events'],
  ['br', 'brotli -q 9 -w 24 -c events'],
  ['br', "split -l 999 --filter='brotli -q 4 -c' events"],
  ['br', ': | brotli -c; brotli -q 1 -c events; : | brotli -c'],
  ['gzip', 'gzip -c events'],
  ['gzip', "split -l 999 --filter='gzip -c' events"],
  ['gzip', ': | gzip -c; gzip -c events; : | gzip -c'],
  [
    'gzip',
    'for part in 1 2; do split -n l/$part/2 events > p; gzip -c p >> log.gz; done; cat log.gz',
  ],
  ['gzip', 'pigz -c -p 2 -b 128 -i events; pigz -c < /dev/null'],
];

for (const [coding, command] of WHOLE) {
  t.test(`all events of: ${command}`, async (t) => {
    const body = made(command);
    for (const query of ['', '?on_error=continue']) {
      const { status, body: answer } = await send(body, coding, query);
      t.equal(status, 202, String(answer.detail));
      t.equal(answer.accepted, EVENTS);
    }
  });
}

/** Each writes a file that can't be read to its end, with how much of it can, at least. */
const BROKEN: readonly [coding: string, command: string, detail: RegExp, accepted: number][] = [
  [
    'zstd',
    'zstd -qc events; zstd -qc events | head -c -1',
    /ends in the middle of a frame/,
    EVENTS,
  ],
  ['zstd', 'zstd -qc events; gzip -c events', /not valid zstd: a frame/, EVENTS],
  ['zstd', 'zstd -qc events; head -c 512 /dev/zero', /not valid zstd: a frame/, EVENTS],
  ['zstd', 'zstd -qc events; zstd -qc --long=27 < events', /window of a frame .* 8 MB/, EVENTS],
  ['br', 'brotli -q 1 -c events; brotli -q 1 -c events | head -c -1', /middle of stream 2/, EVENTS],
  ['br', 'brotli -q 1 -c events; cat events', /not valid br: stream 2|middle of stream 2/, EVENTS],
  ['gzip', 'gzip -c events; gzip -c events | head -c -9', /middle of a member/, EVENTS],
  ['gzip', 'gzip -c events; head -c 512 /dev/zero', /Behind a gzip member/, EVENTS],
  ['gzip', 'gzip -c events; head -c 512 /dev/zero; gzip -c events', /Behind a gzip/, EVENTS],
  ['gzip', 'gzip -c events; cat events', /not valid gzip/, 1],
];

for (const [coding, command, detail, accepted] of BROKEN) {
  t.test(`what is not whole is reported: ${command}`, async (t) => {
    const { status, body } = await send(made(command), coding, '?on_error=continue');
    t.equal(status, 400);
    t.match(body, { code: 'invalid-encoding', outcome: 'partial', detail });
    t.ok(body.accepted >= accepted && body.accepted <= 2 * EVENTS, `${body.accepted} taken`);
  });
}
