/**
 * The service in a process of its own, whose checkpoints the bench turns on and off: started like main.ts,
 * with messages from its parent in place of signals.
 *
 *   off    none is written from now on; answered when the one under way is given up
 *   due    as the service does it by itself, by the log behind them
 *   loop   one after the other, each at the pace that the traffic asks for, until the next message
 *   round  one, at full speed; answered when it is done
 *   stop   ends the service
 */
import { setTimeout } from 'node:timers/promises';
import { pino } from 'pino';
import { loadConfig } from '../../src/config/load.ts';
import { Service } from '../../src/service.ts';

export type CheckpointOrder = 'off' | 'due' | 'loop' | 'round' | 'stop';

/** Between two rounds of which the first found nothing to write. */
const LOOP_PAUSE_MS = 5;

const config = loadConfig(process.env);
const service = await Service.start({ config, logger: pino({ level: 'warn' }) });
await service.ready();
const { checkpoints, path } = service;
let isLooping = false;
let looped: Promise<void> = Promise.resolve();

async function loop(): Promise<void> {
  while (isLooping) {
    const before = checkpoints.rounds;
    await checkpoints.runRound(true, true);
    if (checkpoints.rounds === before) await setTimeout(LOOP_PAUSE_MS);
  }
}

async function turnOff(): Promise<void> {
  isLooping = false;
  await checkpoints.stop();
  await looped;
}

async function obey(order: CheckpointOrder): Promise<void> {
  await turnOff();
  // A round looks at the traffic while the looks for one that is due go on.
  if (order === 'due' || order === 'loop')
    checkpoints.start(path.progress.loadNextSeq() - checkpoints.unsavedEvents);
  if (order === 'round' && !(await checkpoints.runRound(false))) throw new Error('a round failed');
  if (order === 'loop') {
    isLooping = true;
    looped = loop();
  }
  if (order === 'stop') await service.stop();
}

process.on('message', (order: CheckpointOrder) => {
  void obey(order).then(() => {
    process.send?.(checkpoints.rounds);
    if (order === 'stop') process.disconnect();
  });
});
process.stdout.write(`ready on http://${config.host}:${service.port}\n`);
