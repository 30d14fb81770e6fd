/** A start whose HTTP side fails, while the log is replayed: it says why and leaves nothing. */
import { cpSync } from 'node:fs';
import { join } from 'node:path';
import type { Worker } from 'node:worker_threads';
import { pino } from 'pino';
import t from 'tap';
import { loadConfig } from '../../src/config/load.ts';
import type { Config } from '../../src/config/schema.ts';
import { LOG_FOLDER } from '../../src/log/data-dir.ts';
import { Service } from '../../src/service.ts';
import { tempDir } from '../helpers/disks/temp-dir.ts';
import { SMALL, startReadyService } from '../helpers/processes/service-in-process.ts';

t.test('a start that fails later', async (t) => {
  const runningDir = tempDir(t);
  const { port } = await startReadyService(t, { DATA_DIR: runningDir });
  const { status } = await fetch(`http://127.0.0.1:${port}/api/v1/events`, {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: '{"product_id":"a","price":1,"stock":1}',
  });
  t.equal(status, 202, 'there is an event to replay');
  const failures: [why: string, wrong: Partial<Config>, code: string][] = [
    // The configuration's check would refuse it: what it does here is to make `buildApp` throw.
    [
      'its HTTP side can not be built',
      { bodyBytesMax: 0 },
      'FST_ERR_ROUTE_BODY_LIMIT_OPTION_NOT_INT',
    ],
    ['its port is taken', { port }, 'EADDRINUSE'],
  ];
  const threads: Worker[] = [];
  const note = (thread: Worker) => void threads.push(thread);
  process.on('worker', note);
  t.teardown(() => process.off('worker', note));

  for (const [why, wrong, code] of failures) {
    const env = { DATA_DIR: tempDir(t), SHUTDOWN_TIMEOUT: '1h' };
    // Its replay ends with appliers only; a stop that had to give it up would take that hour.
    cpSync(join(runningDir, LOG_FOLDER), join(env.DATA_DIR, LOG_FOLDER), { recursive: true });
    const config = { ...loadConfig({ ...SMALL, ...env }), ...wrong };
    threads.length = 0;
    const failed = Service.start({ config, logger: pino({ enabled: false }) });
    await t.rejects(failed, { code }, why);
    t.ok(threads.length >= 3, 'it had a log thread and appliers');
    t.same(
      threads.filter(({ threadId }) => threadId !== -1),
      [],
      'all of them have ended',
    );
    const { service } = await startReadyService(t, env);
    t.equal(service.phase, 'ready', 'the folder is free');
  }
});
