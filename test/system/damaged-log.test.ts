/** The log after a crash: a torn tail is cut with a warning, damage elsewhere stops the start. */
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { basename, join } from 'node:path';
import t, { type Test } from 'tap';
import { troubleShown } from '../helpers/api/troubleshooting.ts';
import { ApiClient } from '../helpers/clients/api-client.ts';
import { newestSegment, type SegmentFile } from '../helpers/disks/log-frames.ts';
import { tempDir } from '../helpers/disks/temp-dir.ts';
import { startReadyService } from '../helpers/processes/service-in-process.ts';
import { ServiceProcess } from '../helpers/processes/service-process.ts';

const EVENTS = 9;

/** What a process leaves that crashed after EVENTS events of one product, each in its own frame. */
async function crash(t: Test): Promise<SegmentFile> {
  const cwd = tempDir(t);
  const service = await ServiceProcess.start(t, { cwd });
  const client = new ApiClient(await service.ready());
  for (let n = 1; n <= EVENTS; n++) {
    const { status } = await client.post({ product_id: 'p', price: n, stock: n });
    if (status !== 202) throw new Error(`event ${n}: ${status}`);
  }
  client.close();
  await service.crash();
  return newestSegment(join(cwd, 'data'));
}

/** A folder with `bytes` as its only segment; gives the segment's path too. */
function folderWith(t: Test, bytes: Buffer): { cwd: string; dataDir: string; path: string } {
  const cwd = tempDir(t);
  const dataDir = join(cwd, 'data');
  const path = join(dataDir, 'log', basename(left.path));
  mkdirSync(join(dataDir, 'log'), { recursive: true });
  writeFileSync(path, bytes);
  return { cwd, dataDir, path };
}

/** Starts there and gives the warning about the tail, if there is one, and the product's price. */
async function restarted(t: Test, dataDir: string) {
  const { service, port, logged } = await startReadyService(t, { DATA_DIR: dataDir });
  const client = new ApiClient(port);
  const product = await client.product('p');
  client.close();
  const warning = logged.find(({ level, msg }) => level === 40 && msg.includes('torn tail'));
  t.equal(await service.stop(), true);
  return { price: product?.price, warning };
}

const left = await crash(t);
t.equal(left.frames.length, EVENTS, 'each event has its frame');

t.test('a crash alone leaves nothing to warn of', async (t) => {
  const { dataDir } = folderWith(t, left.bytes);
  t.strictSame(await restarted(t, dataDir), { price: EVENTS, warning: undefined });
});

const TEARS: Record<string, (segment: SegmentFile) => { bytes: Buffer; events: number }> = {
  'the last frame cut off in its header': ({ bytes, frames }) => ({
    bytes: bytes.subarray(0, frames[EVENTS - 1].offsetBytes + 20),
    events: EVENTS - 1,
  }),
  'the last frame cut off in its slots': ({ bytes, frames }) => ({
    bytes: bytes.subarray(0, frames[EVENTS - 1].offsetBytes + 100),
    events: EVENTS - 1,
  }),
  'the end of the last frame never written': ({ bytes, frames, endBytes }) => ({
    bytes: Buffer.from(bytes).fill(0, frames[EVENTS - 1].offsetBytes + 70, endBytes),
    events: EVENTS - 1,
  }),
  'garbage behind the last frame': ({ bytes, endBytes }) => ({
    bytes: Buffer.concat([bytes.subarray(0, endBytes), Buffer.alloc(333, 0xa5)]),
    events: EVENTS,
  }),
};

for (const [name, tear] of Object.entries(TEARS)) {
  t.test(`torn tail: ${name}`, async (t) => {
    const { bytes, events } = tear(left);
    const { dataDir, path } = folderWith(t, bytes);
    const { price, warning } = await restarted(t, dataDir);
    t.equal(price, events, `${events} events are there`);
    const offsetBytes = left.frames[events]?.offsetBytes ?? left.endBytes;
    t.match(warning, { path, offsetBytes, bytes: bytes.length - offsetBytes });
    const again = await restarted(t, dataDir);
    t.strictSame(again, { price: events, warning: undefined }, 'the next start finds it whole');
  });
}

const DAMAGES: Record<string, (segment: SegmentFile) => { at: number; reported: number }> = {
  'a slot of the first frame': ({ frames }) => ({
    at: frames[0].offsetBytes + 100,
    reported: frames[0].offsetBytes,
  }),
  'the header of a frame in the middle': ({ frames }) => ({
    at: frames[4].offsetBytes + 9,
    reported: frames[4].offsetBytes,
  }),
  'the header of the segment': () => ({ at: 30, reported: 0 }),
};

for (const [name, damage] of Object.entries(DAMAGES)) {
  t.test(`damage: ${name}`, async (t) => {
    const { at, reported } = damage(left);
    const bytes = Buffer.from(left.bytes);
    bytes[at] ^= 0x10;
    const { cwd, path } = folderWith(t, bytes);
    const service = ServiceProcess.spawn(t, { cwd });
    t.strictSame(await service.exit(), { code: 1, signal: null }, 'it does not start');
    t.match(service.stderr, /^product-service: [^\n]+\n$/, 'and says why in one line');
    t.match(service.stderr, `${path} is damaged at byte ${reported}:`);
    t.match(service.stderr, troubleShown('The log is damaged'));
    t.ok(bytes.equals(readFileSync(path)), 'the file is left as it was');
  });
}
