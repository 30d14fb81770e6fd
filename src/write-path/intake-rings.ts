/** The intake rings in the shared memory, of all threads that take events in. Any thread. */
import { IntakeRing, type IntakeRings, type ProducerRings } from '../ring/intake-ring.ts';
import type { ProducerMemory, SharedMemory } from '../threads/shared-memory.ts';

export function intakeRingsOf(memory: SharedMemory): IntakeRings {
  return { ...ringsOf(memory), further: (memory.further ?? []).map(ringsOf) };
}

function ringsOf({ intake, bulk }: ProducerMemory): ProducerRings {
  return { live: new IntakeRing(intake), bulk: new IntakeRing(bulk) };
}
