/** Where a text stops being JSON, in words. Main thread; pure. */

/** The position out of V8's message, which is not always there; nothing else of it. */
export function whereItFails(error: unknown, what = 'The body'): string {
  const message = String(error);
  if (message.includes('Unexpected end')) return `${what} is not valid JSON: it ends too early.`;
  const position = /at position (\d+)/.exec(message)?.[1];
  if (position === undefined) return `${what} is not valid JSON.`;
  return `${what} is not valid JSON: the fault is at character ${position}, counted from 0.`;
}
