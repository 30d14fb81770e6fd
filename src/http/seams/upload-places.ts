/** The seam to the uploads that have a place among BATCH_CONCURRENCY, on whichever thread that serves HTTP. */
export interface UploadPlaces {
  /**
   * Takes a place from the slowest; resolves when that is done, to whether a place may be free now. `undefined`: all
   * keep theirs.
   */
  makeRoom(): Promise<boolean> | undefined;
}
