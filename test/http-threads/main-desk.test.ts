/** What the main thread's desk keeps for another thread, and what becomes of it when that one is no more. */
import { pino } from 'pino';
import t from 'tap';
import { RunningKeys } from '../../src/http/requests/running-keys.ts';
import type { DeadLetterBox } from '../../src/http/seams/dead-letters.ts';
import { MainDesk } from '../../src/http-threads/main-desk.ts';
import { NO_PROFILES } from '../helpers/fakes/http-fakes.ts';

const NO_LETTERS: DeadLetterBox = {
  list: async () => [],
  redrive: async () => undefined,
  remove: async () => false,
};

function deskOf(running: RunningKeys, profiles = NO_PROFILES): MainDesk {
  return new MainDesk({
    logger: pino({ level: 'silent' }),
    checks: () => [],
    history: undefined,
    deadLetters: NO_LETTERS,
    profiles,
    figures: undefined,
    running,
    uploadPlaces: { makeRoom: async () => false },
  });
}

t.test('a key is taken once, and free again at its end', async (t) => {
  const { answers } = deskOf(new RunningKeys());
  const first = await answers.beginKey('a');
  t.type(first, 'number');
  t.equal(await answers.beginKey('a'), undefined);
  t.type(await answers.beginKey('b'), 'number', 'another one');
  answers.endKey(first ?? -1);
  t.type(await answers.beginKey('a'), 'number');
});

t.test('the keys of a thread that is no more are free', async (t) => {
  const running = new RunningKeys();
  const desk = deskOf(running);
  await desk.answers.beginKey('a');
  desk.releaseKeys();
  t.type(await deskOf(running).answers.beginKey('a'), 'number');
});

t.test('so is one that it still waited for', async (t) => {
  const running = new RunningKeys();
  const end = await running.begin('a');
  const desk = deskOf(running);
  const begun = desk.answers.beginKey('a');
  desk.releaseKeys();
  end?.();
  t.equal(await begun, undefined, 'nobody is there who would end it');
  t.type(await deskOf(running).answers.beginKey('a'), 'number');
});

t.test('nobody waits any more for the profiles of a thread that is no more', async (t) => {
  const cpu = (_ms: number, signal: AbortSignal) =>
    new Promise<Uint8Array>((resolve) =>
      signal.addEventListener('abort', () => resolve(new Uint8Array(1))),
    );
  const desk = deskOf(new RunningKeys(), { ...NO_PROFILES, cpu });
  const taken = desk.answers.profile('cpu', 60_000, 0);
  desk.close();
  t.same(await taken, new Uint8Array(1));
});
