/** What a start reports while it brings the state back. Log thread to main thread. */

export type RecoveryMessage =
  /** How far a start has come; reported about once a second. */
  | { readonly type: 'progress'; readonly doneBytes: number; readonly totalBytes: number }
  /** Something of a checkpoint is damaged; an older one, or the log from its beginning, serves instead. */
  | {
      readonly type: 'checkpoint-damaged';
      /** In the folder of the checkpoints. */
      readonly name: string;
      readonly replayFrom: number;
      readonly path: string;
      readonly offsetBytes: number;
      readonly reason: string;
    }
  /** Checkpoint and log were read and everything in them is applied. */
  | {
      readonly type: 'replayed';
      /** Products restored from the checkpoint. */
      readonly products: number;
      /** Of these, the ones that came from files of another form, key or number of shards. */
      readonly converted: number;
      /** Seq from which the log was replayed; 1 without a checkpoint. */
      readonly replayFrom: number;
      /** Events replayed from the log. */
      readonly events: number;
      readonly segments: number;
      readonly durationMs: number;
    }
  /** A torn tail was cut off. */
  | {
      readonly type: 'torn-tail';
      readonly path: string;
      readonly offsetBytes: number;
      readonly bytes: number;
      readonly reason: string;
    };
