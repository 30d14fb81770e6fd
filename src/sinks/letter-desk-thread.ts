/** The thread of the dead letters: answers one call after the other, each flushed. */
import type { DeadLetters } from './dead-letters.ts';
import type { DeskAnswer, DeskCall, DeskQuestion } from './letter-desk-messages.ts';

export function answerQuestion(letters: DeadLetters, { id, call }: DeskQuestion): DeskAnswer {
  try {
    return { id, result: resultOf(letters, call) };
  } catch (error) {
    return { id, error: error instanceof Error ? error.message : String(error) };
  }
}

function resultOf(letters: DeadLetters, call: DeskCall): unknown {
  switch (call.name) {
    case 'put':
      return letters.put(call.letter);
    case 'list':
      return letters.list(call.after, call.limit, call.filter);
    case 'get':
      return letters.get(call.id);
    case 'remove':
      return letters.remove(call.id);
    case 'count':
      return letters.count;
  }
}
