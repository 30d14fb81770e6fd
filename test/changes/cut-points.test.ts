/**
 * A client of the stream of changes that is cut off, at whatever byte, and comes back with what it has
 * kept by the WHATWG's rules: it misses no change and no reset.
 */
import { once } from 'node:events';
import { get, type IncomingMessage } from 'node:http';
import t, { type Test } from 'tap';
import { bounded } from '../helpers/bounded.ts';
import { readEventStream } from '../helpers/clients/event-stream.ts';
import { WriteLoad } from '../helpers/clients/write-load.ts';
import { tempDir } from '../helpers/disks/temp-dir.ts';
import { Random, testSeed } from '../helpers/models/random.ts';
import { startReadyService } from '../helpers/processes/service-in-process.ts';

const WAIT_MS_MAX = 100_000;
/** Of the places where a stream may be cut, so many are resumed at. */
const RESUMED = 8;
/** So many that some of them change something, whatever the seed. */
const SENT = 25;
const FOREIGN = '99999999999';

/** What a client asks with: `Last-Event-ID`, `?since=`, or nothing. */
interface Ask {
  readonly lastEventId?: string;
  readonly since?: number;
}

/** Reads a stream until `isDone` of all of its text. */
async function streamOf(
  t: Test,
  port: number,
  { lastEventId = '', since }: Ask,
  onText: (text: string) => boolean,
): Promise<string> {
  const path = `/api/v1/changes${since === undefined ? '' : `?since=${since}`}`;
  const headers = {
    accept: 'text/event-stream',
    ...(lastEventId === '' ? {} : { 'last-event-id': lastEventId }),
  };
  const request = get({ port, host: '127.0.0.1', path, headers, agent: false });
  t.teardown(() => request.destroy());
  const [response] = (await once(request, 'response')) as [IncomingMessage];
  let text = '';
  const done = new Promise<void>((resolve) => {
    response.setEncoding('utf8').on('data', (chunk: string) => {
      text += chunk;
      if (onText(text)) resolve();
    });
  });
  await bounded(done, WAIT_MS_MAX, `the stream to go on after ${text}`);
  response.removeAllListeners('data');
  request.destroy();
  return text;
}

const toldSeqs = (text: string) =>
  readEventStream(text)
    .events.filter(({ name }) => name === 'message')
    .map(({ data }) => JSON.parse(data).seq as number);

const SCENARIOS: Readonly<Record<string, Ask>> = {
  'from now on': {},
  'from the beginning': { since: 0 },
  'from a Last-Event-ID': { lastEventId: '25' },
  'from a Last-Event-ID that counts before since': { lastEventId: '25', since: 3 },
  'of another history': { lastEventId: FOREIGN },
  'of another history, by since': { since: Number(FOREIGN) },
};

const seed = testSeed();
t.test(`cut off at every byte, seed ${seed}`, async (t) => {
  const { service, port } = await startReadyService(t, {
    DATA_DIR: tempDir(t),
    CHANGES_HEARTBEAT: '30ms',
  });
  const load = new WriteLoad(service, seed, 12);
  const random = new Random(seed);
  await load.send(40);
  for (const [scenario, ask] of Object.entries(SCENARIOS)) {
    const before = load.seq;
    let isSending = false;
    let sent: Promise<void> | undefined;
    const text = await streamOf(t, port, ask, (soFar) => {
      if (!isSending && soFar.includes('\n\n')) {
        isSending = true;
        sent = load.send(SENT);
      }
      const { lastEventId } = readEventStream(soFar);
      // Up to a position behind everything: a heartbeat, perhaps behind events that changed nothing.
      return isSending && Number(lastEventId) === before + SENT;
    });
    await sent;

    // Everything that changed something and that the client has to hear of, unless it is reset.
    const { events } = readEventStream(text);
    const isReset = events.some(({ name }) => name === 'reset');
    const from = ask.lastEventId !== undefined ? Number(ask.lastEventId) : (ask.since ?? before);
    const start = isReset ? before : from;
    t.equal(isReset, Math.max(from, 0) > before, `${scenario}: reset if it must be`);
    t.equal(load.missing(new Set(toldSeqs(text)), start + 1), '', `${scenario}: uncut`);

    const kept = new Map<string, number>();
    const faults: string[] = [];
    const told = toldSeqs(text);
    for (let at = 0; at <= text.length; at++) {
      const cut = readEventStream(text.slice(0, at), ask.lastEventId);
      const heardOfReset = cut.events.some(({ name }) => name === 'reset');
      const changes = cut.events.filter(({ name }) => name === 'message').length;
      if (cut.lastEventId !== (ask.lastEventId ?? '')) {
        if (isReset && !heardOfReset) faults.push(`byte ${at}: the id moved before the reset`);
        // In order, so the next that it was not told is the first that it must still be owed.
        const owed = told[changes];
        if (owed !== undefined && owed <= Number(cut.lastEventId)) {
          faults.push(`byte ${at}: ${owed} is missed`);
        }
      }
      if (!kept.has(cut.lastEventId)) kept.set(cut.lastEventId, at);
    }
    t.strictSame(faults, [], `${scenario}: ${text.length} bytes`);
    t.ok(kept.size > 5, `${kept.size} places to resume at`);

    // And the service goes on from each of them.
    for (const [lastEventId, at] of random.shuffled([...kept]).slice(0, RESUMED)) {
      const hadNothing = lastEventId === '' && ask.since === undefined;
      const again = hadNothing
        ? '' // From now on again: nothing was promised.
        : await streamOf(t, port, { ...ask, ...(lastEventId === '' ? {} : { lastEventId }) }, (s) =>
            s.includes(`\nid: ${load.seq}\n\n`),
          );
      const names = readEventStream(text.slice(0, at) + again).events.map(({ name }) => name);
      const seqs = new Set([...toldSeqs(text.slice(0, at)), ...toldSeqs(again)]);
      const resets = names.filter((name) => name === 'reset').length;
      if (hadNothing) continue;
      if (isReset) {
        if (resets === 0) faults.push(`resumed at ${lastEventId}: no reset`);
      } else {
        if (resets > 0) faults.push(`resumed at ${lastEventId}: a reset`);
        const missing = load.missing(seqs, start + 1);
        if (missing !== '') faults.push(`resumed at ${lastEventId}: ${missing}`);
      }
    }
    t.strictSame(faults, [], `${scenario}: resumed`);
  }
});

t.test('every event has data, and begins with a position or a reset', async (t) => {
  const { service, port } = await startReadyService(t, {
    DATA_DIR: tempDir(t),
    CHANGES_HEARTBEAT: '10ms',
  });
  const load = new WriteLoad(service, 5, 5);
  await load.send(10);
  const positions = (text: string) => text.split('event: position\n').length - 1;
  const text = await streamOf(t, port, { since: 3 }, (soFar) => positions(soFar) >= 4);
  // Heartbeats that come before the first change say the same position.
  t.match(
    text,
    /^: changes\nretry: 2000\n(event: position\ndata: \{"seq":3\}\nid: 3\n\n)+data: \{"seq":/,
  );
  for (const block of text.split('\n\n').slice(0, -1)) t.match(block, /^data: \{/m);
  const reset = await streamOf(t, port, { lastEventId: FOREIGN }, (soFar) =>
    soFar.includes('\n\n'),
  );
  t.ok(
    reset.startsWith(': changes\nretry: 2000\nevent: reset\ndata: {"seq":10}\nid: 10\n\n'),
    reset,
  );
});
