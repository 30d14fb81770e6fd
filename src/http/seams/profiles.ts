/** What the routes of profiles need of whoever takes them. */

/** A whole file, or `busy`: another one is being taken. */
export type TakenProfile = Uint8Array | 'busy';

export interface Profiles {
  /** Where all threads spend their CPU time for `ms`, or until `signal`. */
  cpu(ms: number, signal: AbortSignal): Promise<TakenProfile>;
  /** What all threads have allocated within `ms`, or until `signal`, and still hold. */
  heap(ms: number, signal: AbortSignal): Promise<TakenProfile>;
}
