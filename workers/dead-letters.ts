/** Entry of the thread that keeps the dead letters for the main thread. */
import { parentPort, workerData } from 'node:worker_threads';
import { DeadLetters } from '../src/sinks/dead-letters.ts';
import type { DeskQuestion, DeskThreadData } from '../src/sinks/letter-desk-messages.ts';
import { answerQuestion } from '../src/sinks/letter-desk-thread.ts';

const { path, lettersMax }: DeskThreadData = workerData;
const letters = new DeadLetters(path, lettersMax);
parentPort?.on('message', (question: DeskQuestion) => {
  parentPort?.postMessage(answerQuestion(letters, question));
});
