/** The seam to whoever knows which Idempotency-Keys of batches are being taken. */

export interface BatchKeysRunning {
  /**
   * Resolves to what to call when the request is over; `undefined` if another one has the key and
   * keeps it for longer than a moment.
   */
  begin(key: string): Promise<(() => void) | undefined>;
}
