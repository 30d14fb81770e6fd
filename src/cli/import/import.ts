/**
 * `import`: feeds in, batches out. One batch is under way while the next is converted; each is settled (its
 * refused lines in the report, the journal in place) before the next one's answer counts. Main thread.
 *
 * Whatever ends it, the same command goes on: batches have keys that say what is in them (batch-chain.ts), so
 * what was sent and not noted is sent again and changes nothing; what is noted (journal.ts) is not sent again,
 * if the file still says the same up to there and the service has the last batch of it.
 */
import { randomBytes } from 'node:crypto';
import { FUTURE_MS_MAX } from '../../event/event-time.ts';
import { FeedError } from '../../feeds/feed.ts';
import { type OpenFeed, openFeed } from '../../feeds/open-feed.ts';
import { type CommandContext, CommandError, EXIT_DONE, EXIT_PARTIAL } from '../command.ts';
import { ServiceClient } from '../service-client.ts';
import { FeedWindow } from './feed-window.ts';
import { FileImport } from './file-import.ts';
import { type ImportOptions, readOptions } from './import-options.ts';
import { Journal, type Progress, stateFolder } from './journal.ts';
import { ProgressBar } from './progress-bar.ts';
import { type FeedSource, openSource } from './source.ts';

const EXIT_INTERRUPTED = 130;
const EXIT_TERMINATED = 143;

export async function run(context: CommandContext): Promise<number> {
  const options = readOptions(context);
  const client = options.isDryRun
    ? undefined
    : ServiceClient.from(context.values, context.environment);
  let code = EXIT_DONE;
  for (const file of options.files) {
    const importer = new Importer(file, options, client, stateFolder(context.environment));
    if (await importer.run()) code = EXIT_PARTIAL;
  }
  client?.close();
  return code;
}

interface FoundFeed {
  readonly feed: OpenFeed;
  /** Event time of what has none of its own; '' = as it arrives. */
  readonly occurredAt: string;
}

/** One file's import, from what it is to what became of it. */
class Importer {
  readonly #file: string;
  readonly #options: ImportOptions;
  readonly #client: ServiceClient | undefined;
  readonly #bar: ProgressBar;
  readonly #journal: Journal | undefined;
  /** When it began: prices that hold from later on are no news. */
  readonly #nowMs = Date.now();

  constructor(
    file: string,
    options: ImportOptions,
    client: ServiceClient | undefined,
    folder: string,
  ) {
    this.#file = file;
    this.#options = options;
    this.#client = client;
    this.#bar = new ProgressBar(file === '-' ? 'standard input' : file);
    const { files: _, refused: __, patienceMs: ___, ...signature } = options;
    this.#journal =
      client === undefined || file === '-'
        ? undefined
        : new Journal(folder, client.url, file, JSON.stringify(signature));
  }

  /** True if something was refused. */
  async run(): Promise<boolean> {
    const release = this.#onSignals();
    try {
      const before = this.#journal?.read();
      const end = await this.#try(before);
      if (typeof end === 'boolean') return end;
      const again = await this.#try(undefined, end === 'lost' ? before?.batches : undefined);
      return again === true;
    } finally {
      this.#bar.clear();
      release();
    }
  }

  /** Reads a feed of which nothing counts before its end; throws FeedError if that doesn't come. */
  async #checkWhole(): Promise<void> {
    const source = await openSource(this.#file);
    const window = new FeedWindow(source.chunks);
    try {
      const { feed } = await this.#feedOf(source, window);
      for await (const _ of window.blocks(feed.converter));
    } finally {
      await window.close();
    }
  }

  /** One pass over the file: whether something was refused, or why it has to be begun anew (file-import.ts). */
  async #try(before: Progress | undefined, resent = 0): Promise<boolean | 'changed' | 'lost'> {
    const source = await openSource(this.#file);
    const window = new FeedWindow(source.chunks);
    try {
      const found = await this.#feedOf(source, window);
      const { feed } = found;
      this.#tell(source, found, before);
      if (feed.isWholeOnly && this.#file !== '-') await this.#checkWhole();
      const fileImport = new FileImport({
        options: this.#options,
        client: this.#client,
        bar: this.#bar,
        journal: this.#journal,
        file: this.#file,
        source,
        feed,
        before,
        resent,
        salt: before?.salt ?? (this.#options.isAgain ? randomBytes(12).toString('hex') : ''),
      });
      const end = await fileImport.run(window.blocks(feed.converter));
      if (end !== 'done') {
        this.#bar.say(
          end === 'changed'
            ? `${source.name} has changed since the try of ${before?.at}: it is sent from its beginning, and what is as before changes nothing`
            : `the service does not have what the try of ${before?.at} sent: all is sent again`,
        );
        return end;
      }
      this.#bar.clear();
      process.stdout.write(`${fileImport.summary()}\n`);
      return fileImport.counts.refused > 0;
    } catch (error) {
      if (!(error instanceof FeedError)) throw error;
      throw new CommandError(`${source.name}: ${error.message}`);
    } finally {
      await window.close();
    }
  }

  /** Finds out what it is; the window stands at its first record then. */
  async #feedOf(source: FeedSource, window: FeedWindow): Promise<FoundFeed> {
    const { eventTime } = this.#options;
    const { bytes, isWhole } = await window.sample();
    const occurredAt = occurredAtOf(source, eventTime);
    const feed = openFeed(bytes, isWhole, {
      ...this.#options,
      nowMs: this.#nowMs,
      occurredAt,
      isTimeAsked: eventTime !== undefined,
    });
    window.skip(feed.skip);
    return { feed, occurredAt };
  }

  /** Says what it was taken for; throws CommandError for an event time that can't be. */
  #tell(source: FeedSource, { feed, occurredAt }: FoundFeed, before: Progress | undefined): void {
    if (!feed.takesEventTime && this.#options.eventTime !== undefined) {
      throw new CommandError(
        `${source.name} has events, which say their time in occurred_at: --event-time is for other feeds`,
      );
    }
    if (feed.takesEventTime) refuseFuture(source, occurredAt);
    const time = !feed.takesEventTime ? '' : `; event time ${occurredAt || 'their arrival'}`;
    const coding = source.coding === 'identity' ? '' : `, ${source.coding}`;
    this.#bar.say(`${source.name} is ${feed.what}${coding}${time}`);
    if (before !== undefined) {
      this.#bar.say(
        `going on where the try of ${before.at} ended, ${before.batches} batch${before.batches === 1 ? '' : 'es'} on`,
      );
    }
  }

  #onSignals(): () => void {
    const ends = { SIGINT: EXIT_INTERRUPTED, SIGTERM: EXIT_TERMINATED } as const;
    const handlers = Object.entries(ends).map(([signal, code]) => {
      const handler = () => {
        this.#bar.clear();
        const goesOn = this.#options.isDryRun ? '' : '; the same command goes on from here';
        this.#bar.say(`interrupted${goesOn}`);
        process.exit(code);
      };
      process.once(signal, handler);
      return () => void process.off(signal, handler);
    });
    return () => {
      for (const off of handlers) off();
    };
  }
}

/** The event time of rows that have none of their own; '' = their arrival. */
function occurredAtOf({ changedMs }: FeedSource, eventTime: string | undefined): string {
  if (eventTime === 'now') return '';
  if (eventTime !== undefined && eventTime !== 'file') return eventTime;
  if (changedMs !== undefined) return new Date(changedMs).toISOString();
  if (eventTime === undefined) return '';
  throw new CommandError('standard input has no time of a file: say --event-time');
}

function refuseFuture(source: FeedSource, occurredAt: string): void {
  if (occurredAt === '' || Date.parse(occurredAt) <= Date.now() + FUTURE_MS_MAX) return;
  throw new CommandError(
    `${source.name}: its time, ${occurredAt}, lies in the future; say --event-time now, or another`,
  );
}
