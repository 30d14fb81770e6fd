/** Whose a sink is that was found with an identity and a place in it. Pure. */
import type { SinkOptions, SinkPlace } from './sink.ts';

/** Whether it is this service's: by its own name, or by that of the generation before, with nothing of its later events. */
export function isOwn(
  { identity, before }: Pick<SinkOptions, 'identity' | 'before'>,
  found: string,
  { position, newest }: SinkPlace,
): boolean {
  if (found === identity) return true;
  return before?.identity === found && Math.max(position, newest.seq) <= before.seqMax;
}
