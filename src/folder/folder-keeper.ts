/**
 * Looks after the data folder while the service runs, once a second, and puts right what people do to
 * it. Main thread.
 *
 *   found                                     done
 *   DATA_DIR renamed, mounted over, replaced  the service must stop; what it has acknowledged is in the
 *                                             folder that it opened (held-files.ts), wherever that is
 *   files or folders deleted                  writes refused; all that memory has is made durable again
 *                                             (folder-guard.ts has the story); writes taken again
 *   a lock's file removed                     taken again; if another process was faster, the service
 *                                             must stop and write nothing more
 *   the file system can't be asked            nothing: a log that can't be written says so itself
 */
import { join } from 'node:path';
import type { Logger } from 'pino';
import type { Checkpointer } from '../checkpoint/checkpointer.ts';
import { afterMs, within } from '../deadline.ts';
import { type DataDir, FolderHeldError } from '../log/data-dir.ts';
import { HELD_ROOT } from '../log/folder-guard.ts';
import { type SegmentEnd, segmentName } from '../log/format.ts';
import { HeldFiles, heldPath } from '../log/held-files.ts';
import { listSegments, oldestLinked } from '../log/segment-headers.ts';
import { FolderFiles } from './folder-files.ts';

const LOOK_EVERY_MS = 1000;
/** How soon the next step is taken once the log thread has done its own. */
const STEP_MS = 20;

export interface FolderKeeperOptions {
  readonly dataDir: DataDir;
  /** The log's newest segment, where it has files in here. */
  readonly newestSegment: () => SegmentEnd | undefined;
  readonly checkpoints: Checkpointer;
  readonly logger: Logger;
  /** Wakes the log thread. */
  readonly wakeLog: () => void;
  /** Resolves when all events before the seq are applied. */
  readonly whenAppliedBefore: (seq: number) => Promise<void>;
  /** The folder was made anew where it was missing. Rejects with FolderHeldError if it is another's. */
  readonly onRemade: () => Promise<void>;
  /** Whether all that was acknowledged is on disk, as far as files show. */
  readonly onWhole: (isWhole: boolean) => void;
  /** The service can't go on with this folder: the process must stop. */
  readonly onFatal: (reason: string) => void;
}

export class FolderKeeper {
  readonly #options: FolderKeeperOptions;
  #files: FolderFiles;
  #timer: NodeJS.Timeout | undefined;
  #looking: Promise<void> | undefined;
  #isStopped = false;
  #isAborted = false;
  /** The process must stop, and knows why. */
  #hasGivenUp = false;

  constructor(options: FolderKeeperOptions) {
    this.#options = options;
    this.#files = this.#filesNow();
    // What is deleted while the log is replayed is missed at the first look.
    this.#begin(this.#files.missing(undefined));
  }

  /** The log is open and the store is whole: looks from now on. */
  start(): void {
    this.#timer = setInterval(() => this.look(), LOOK_EVERY_MS).unref();
    this.look();
  }

  /**
   * Looks a last time, so that a stop right behind a deletion saves all as well, and no more;
   * resolves when that is done, at most after `ms`.
   */
  async stop(ms: number): Promise<void> {
    const wasStarted = this.#timer !== undefined;
    this.#isStopped = true;
    clearInterval(this.#timer);
    const last = async () => {
      await this.#looking;
      if (!wasStarted || this.#isAborted || this.#hasGivenUp) return;
      this.#begin(this.#look());
      await this.#looking;
    };
    await within(ms, last());
    this.#isAborted = true;
  }

  /**
   * For the end, when the log is closed: what is missing of it, in words, and can't be saved any more.
   * `undefined` = nothing, or nobody can say.
   */
  async missingAtEnd(): Promise<string | undefined> {
    const { dataDir, newestSegment } = this.#options;
    if (this.#timer === undefined || this.#hasGivenUp) return undefined;
    try {
      const { state, path } = dataDir.state();
      if (state === 'elsewhere') return undefined;
      return state === 'removed' ? path : await this.#files.missing(newestSegment());
    } catch {
      return undefined;
    }
  }

  /** Looks once, unless a look is under way. */
  look(): void {
    if (this.#looking === undefined && !this.#isStopped) this.#begin(this.#look());
  }

  #begin(look: Promise<unknown>): void {
    const { logger } = this.#options;
    this.#looking = look
      .then(() => undefined)
      // A deletion that happens during a look is found by the next one.
      .catch((error) => logger.debug({ err: error }, 'data folder: could not be looked at'))
      .finally(() => {
        this.#looking = undefined;
      });
  }

  async #look(): Promise<void> {
    const missing = await this.#missing();
    if (missing === undefined) return;
    await this.#saveAll(missing);
  }

  /** What was deleted, in words; `undefined` = nothing, or the service has to stop. */
  async #missing(): Promise<string | undefined> {
    const { dataDir, newestSegment, logger } = this.#options;
    const { state, path } = dataDir.state();
    if (state === 'elsewhere') {
      this.#giveUpElsewhere(path);
      return undefined;
    }
    if (state === 'removed') return path;
    try {
      const again = dataDir.lockAgain();
      if (again.length > 0) {
        logger.error(
          { paths: again },
          'data folder: its lock was removed by hand, and is taken again; never do that',
        );
      }
    } catch (error) {
      if (!(error instanceof FolderHeldError)) {
        // Removed between the two: the lock went with the folder.
        const now = dataDir.state();
        if (now.state === 'removed') return now.path;
        throw error;
      }
      this.#giveUp(`its lock was removed by hand, and ${error.message}`, true);
      return undefined;
    }
    return this.#files.missing(newestSegment());
  }

  /** From the words of a loss to a folder that a start needs nothing else for. */
  async #saveAll(missing: string): Promise<void> {
    const { dataDir, logger, wakeLog, onRemade, onWhole } = this.#options;
    const { guard } = dataDir;
    logger.error(
      { missing },
      'data folder: files were deleted while the service runs; refusing writes until all that memory has is saved again',
    );
    onWhole(false);
    for (let reported = ''; ; ) {
      const lost = guard.lose();
      try {
        const { state, path } = dataDir.state();
        if (state === 'elsewhere') return this.#giveUpElsewhere(path);
        dataDir.acquire();
        await onRemade();
        wakeLog();
        // What is deleted meanwhile is found here, or by the next look.
        if ((await this.#saved(lost)) && dataDir.state().state === 'there') {
          guard.save(lost);
          wakeLog();
          logger.info('data folder: all is saved again');
          return onWhole(true);
        }
      } catch (error) {
        if (error instanceof FolderHeldError) return this.#giveUp(error.message, true);
        const reason = error instanceof Error ? error.message : String(error);
        if (reason !== reported)
          logger.error({ reason }, 'data folder: not saved yet, trying again');
        reported = reason;
      }
      if (this.#isStopped) return;
      await afterMs(LOOK_EVERY_MS);
    }
  }

  /** False if the service is being stopped, or it did not work. */
  async #saved(lost: number): Promise<boolean> {
    const { dataDir, newestSegment, checkpoints, whenAppliedBefore } = this.#options;
    while (dataDir.guard.letGo !== lost) {
      // Deleted again before the log thread could make its segment there: begin anew.
      if (this.#isAborted || dataDir.state().state !== 'there') return false;
      await afterMs(STEP_MS);
    }
    const first = newestSegment()?.firstSeq ?? 1;
    this.#files = this.#filesNow();
    if (first === 1) return true;
    await whenAppliedBefore(first);
    // One that is under way is paced, and may have begun before.
    await checkpoints.cancel();
    if (!(await checkpoints.runRound(false, true))) return false;
    this.#removeUnlinked(first);
    return true;
  }

  /**
   * Removes the segments before the newest gap: the checkpoint has all that they had, and nobody can read on
   * from them. Those behind it are whole, and retention's. Killed on the way, a start goes by the checkpoint.
   */
  #removeUnlinked(last: number): void {
    const { logFolder, held } = this.#options.dataDir;
    const files = new HeldFiles(held);
    const first = oldestLinked(files, logFolder, last);
    for (const firstSeq of listSegments(files, logFolder).filter((seq) => seq < first)) {
      files.remove(join(logFolder, segmentName(firstSeq)));
    }
    files.syncFolder(logFolder);
  }

  #filesNow(): FolderFiles {
    const { held, logFolder, checkpointFolder } = this.#options.dataDir;
    return new FolderFiles(heldPath(held, logFolder), heldPath(held, checkpointFolder));
  }

  #giveUpElsewhere(path: string): void {
    const { guard } = this.#options.dataDir;
    // By descriptor the log is still closed in order, in the folder that it belongs to.
    this.#giveUp(
      `${path} is not the folder that this service runs on any more: it was renamed, replaced or ` +
        'mounted over; what was acknowledged is in the folder that it was, if that is still there',
      guard.isLost || guard.descriptor(HELD_ROOT) === 0,
    );
  }

  #giveUp(reason: string, isDenied: boolean): void {
    const { dataDir, onFatal, wakeLog } = this.#options;
    this.#isStopped = true;
    this.#hasGivenUp = true;
    clearInterval(this.#timer);
    if (isDenied) dataDir.guard.deny();
    wakeLog();
    onFatal(reason);
  }
}

/** How far the newest segment counts. */
