/** What a checkpoint or a log holds does not fit into the store: it was made smaller than the data. */
export class NoRoomError extends Error {
  override readonly name = 'NoRoomError';

  constructor() {
    super('MAX_MEMORY_USAGE is too small for the products in the log: raise it');
  }
}
