/**
 * Nobody starves where several threads serve HTTP: clients that talk all the time, one on each thread, imports that
 * never end, and a thousand followers, all at once. Counted and not timed: whoever has had FAR times what everybody is to
 * have, while somebody has not had it, is a fault.
 */
import { connect } from 'node:net';
import t, { type Test } from 'tap';
import { bounded } from '../helpers/bounded.ts';
import { openBatch } from '../helpers/clients/batch-client.ts';
import { connectToAll, type ThreadConnection } from '../helpers/clients/thread-connections.ts';
import { tempDir } from '../helpers/disks/temp-dir.ts';
import { ServiceProcess } from '../helpers/processes/service-process.ts';

const FOLLOWERS = 1_000;
const IMPORTS = 2;
const WAIT_MS_MAX = 120_000;
/** Answers of each talker, one in ten of them to an event; pieces of each import; changes of each follower. */
const ANSWERS = 50;
const PIECES = 10;
const CHANGES = 4;
/** So many that no thread has them while another one is only held up for seconds. */
const FAR = 1000;
/** Stale events: they are taken and applied like all, and followers are not told. */
const PIECE = `${JSON.stringify({
  product_id: 'imported',
  price: 1,
  stock: 1,
  occurred_at: '2020-01-01T00:00:00Z',
})}\n`.repeat(200);

class Count {
  readonly what: string;
  readonly quota: number;
  had = 0;

  constructor(what: string, quota: number) {
    this.what = what;
    this.quota = quota;
  }
}

/** Whether all have had what they are to have, or it is clear that somebody does not get it. */
class Race {
  readonly #counts: Count[] = [];
  readonly #over = Promise.withResolvers<void>();
  fault: string | undefined;
  isOver = false;

  join(what: string, quota: number): () => void {
    const count = new Count(what, quota);
    this.#counts.push(count);
    return () => {
      count.had++;
      if (count.had === quota || count.had === FAR * quota) this.#look(count);
    };
  }

  get over(): Promise<void> {
    return bounded(this.#over.promise, WAIT_MS_MAX, 'everybody to have had something');
  }

  #look(count: Count): void {
    const behind = this.#counts.find(({ had, quota }) => had < quota);
    if (behind !== undefined && count.had === count.quota) return;
    if (behind !== undefined) {
      this.fault = `${count.what} had ${count.had}, and ${behind.what} ${behind.had} of ${behind.quota}`;
    }
    this.isOver = true;
    this.#over.resolve();
  }
}

async function talk(connection: ThreadConnection, id: string, race: Race, onAnswer: () => void) {
  for (let n = 0; !race.isOver; n++) {
    const event = { product_id: id, price: n, stock: 1 };
    const answer =
      n % 10 === 0
        ? await connection.send('POST', '/api/v1/events', event)
        : await connection.send('GET', `/api/v1/products/${id}`);
    if (answer.status >= 300 && answer.status !== 404) throw new Error(answer.text);
    onAnswer();
  }
}

async function importOn(t: Test, port: number, race: Race, onPiece: () => void): Promise<void> {
  const { call, answered } = openBatch(port, { query: '?on_error=continue' });
  t.teardown(() => call.destroy());
  while (!race.isOver) {
    await new Promise((resolve) => call.write(PIECE, resolve));
    onPiece();
  }
  call.end();
  const { status, body } = await answered;
  if (status !== 202 || body.rejected > 0) throw new Error(`an import ended with ${status}`);
}

/** Resolves when it follows. */
function follow(t: Test, port: number, onChange: () => void): Promise<void> {
  const socket = connect(port, '127.0.0.1');
  t.teardown(() => socket.destroy());
  let text = '';
  return new Promise((resolve, reject) => {
    socket.once('error', reject);
    socket.setEncoding('utf8').on('data', (chunk: string) => {
      text += chunk;
      if (text.includes('event: position')) resolve();
      const events = text.split('\n\n');
      text = events.pop() ?? '';
      for (const event of events) if (event.includes('"product_id":"talk-')) onChange();
    });
    const head = 'GET /api/v1/changes HTTP/1.1\r\nhost: a\r\naccept: text/event-stream\r\n\r\n';
    socket.write(head);
  });
}

for (const threads of [2, 3]) {
  t.test(`${threads} threads`, async (t) => {
    const env = {
      HTTP_THREADS: String(threads),
      CHANGES_FOLLOWERS_MAX: String(FOLLOWERS),
      HTTP_MAX_CONNECTIONS: String(2 * FOLLOWERS),
      MAX_MEMORY_USAGE: '16MB',
      WORKERS: '2',
      SHARDS: '8',
    };
    const service = await ServiceProcess.start(t, { cwd: tempDir(t), env });
    const port = await service.ready();
    const talkers = await connectToAll(t, port, threads);
    // It is known, and newer than all that is imported.
    await talkers[0].send('POST', '/api/v1/events', { product_id: 'imported', price: 1, stock: 1 });
    const race = new Race();
    await Promise.all(
      Array.from({ length: FOLLOWERS }, (_, i) =>
        follow(t, port, race.join(`follower ${i}`, CHANGES)),
      ),
    );
    const clients = [
      ...talkers.map((talker, i) =>
        talk(talker, `talk-${i}`, race, race.join(`talker ${i}`, ANSWERS)),
      ),
      ...Array.from({ length: IMPORTS }, (_, i) =>
        importOn(t, port, race, race.join(`import ${i}`, PIECES)),
      ),
    ];
    await Promise.race([race.over, Promise.all(clients)]);
    t.equal(race.fault, undefined, 'everybody had something before anybody had far more');
    await bounded(Promise.all(clients), WAIT_MS_MAX, 'all to be answered');
    t.strictSame(await service.stop(), { code: 0, signal: null });
  });
}
