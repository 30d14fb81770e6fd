/**
 * What `scripted-applier.ts` does besides applying, in shared memory: the test writes it, the
 * applier's thread obeys. Rides in the task's memory, which structured cloning keeps. Tests only.
 *
 *   word 0  ops left          > 0: the thread dies before that many further Atomics operations
 *        1  poison deaths left  times that an event priced POISON kills its thread
 *        2  poison deaths     that happened; the applier writes
 *        3  arm after         poison deaths after which a thread, at its start, ...
 *        4  arm ops           ... gets this number of ops left (0 = does not)
 *        5  start deaths left  times that a thread dies at its start, once a poison death happened
 *        6  throws            1 = dies of an exception, 0 = of process.exit
 */
export const OPS_LEFT = 0;
export const POISON_DEATHS_LEFT = 1;
export const POISON_DEATHS = 2;
export const ARM_AFTER = 3;
export const ARM_OPS = 4;
export const START_DEATHS_LEFT = 5;
export const THROWS = 6;
export const SCRIPT_WORDS = 8;

export const POISON = 13.13;
export const SCRIPTED_APPLIER = new URL('./scripted-applier.ts', import.meta.url);

/** The part of the task's memory that only tests know. */
export interface WithScript {
  readonly script: Int32Array;
}
