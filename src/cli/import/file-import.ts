/**
 * One pass over a feed: block after block is sent (or judged, without a service), its refusals are reported, and
 * what has come of it is counted and noted. Main thread.
 */
import type { Block, Refusal } from '../../feeds/feed.ts';
import type { OpenFeed } from '../../feeds/open-feed.ts';
import type { ListedFault, ServiceClient } from '../service-client.ts';
import { BatchChain } from './batch-chain.ts';
import { BatchSender, type SentBatch } from './batch-sender.ts';
import type { ImportOptions } from './import-options.ts';
import type { ImportCounts, Journal, Progress } from './journal.ts';
import type { Judge } from './judge.ts';
import { grouped, type ProgressBar } from './progress-bar.ts';
import { RefusedReport, reportPathOf } from './refused-report.ts';
import type { FeedSource } from './source.ts';

export interface FileImportDeps {
  readonly options: ImportOptions;
  /** `undefined` = a dry run. */
  readonly client: ServiceClient | undefined;
  readonly bar: ProgressBar;
  readonly journal: Journal | undefined;
  readonly file: string;
  readonly source: FeedSource;
  readonly feed: OpenFeed;
  readonly before: Progress | undefined;
  /** The batch that a pass before this one has sent to find out that it was lost; 0 = none. */
  readonly resent: number;
  readonly salt: string;
}

export class FileImport {
  readonly counts: ImportCounts;
  readonly #deps: FileImportDeps;
  readonly #sender: BatchSender | undefined;
  readonly #report: RefusedReport;
  readonly #chain: BatchChain;
  readonly #skipped = new Map<string, number>();
  readonly #startMs = performance.now();
  #judge: Judge | undefined;
  #lastSeq: number;
  #hasSaidThatNothingIsNoted = false;

  constructor(deps: FileImportDeps) {
    const { client, options, before, bar, feed, file, salt } = deps;
    this.#deps = deps;
    this.counts = { ...(before?.counts ?? { accepted: 0, known: 0, refused: 0, skipped: 0 }) };
    this.#lastSeq = before?.lastSeq ?? 0;
    this.#chain = new BatchChain(salt);
    const path = options.refused ?? reportPathOf(file, feed.report);
    this.#report = new RefusedReport(path, feed.report, before?.reportBytes ?? 0, (text) =>
      bar.say(text),
    );
    bar.begin(this.#events);
    this.#sender =
      client === undefined
        ? undefined
        : new BatchSender({
            client,
            patienceMs: options.patienceMs,
            onWait: (reason) => bar.wait(reason),
          });
  }

  /** `changed`: the feed is not what `before` speaks of; `lost`: the service does not have what was sent of it. */
  async run(blocks: AsyncIterable<Block>): Promise<'done' | 'changed' | 'lost'> {
    const { before, journal } = this.#deps;
    let toSkip = before?.batches ?? 0;
    let batches = 0;
    let pending: Promise<void> | undefined;
    try {
      for await (const block of blocks) {
        this.#chain.next(block.body);
        batches++;
        if (toSkip > 0) {
          toSkip--;
          if (toSkip > 0) continue;
          if (this.#chain.hex !== before?.chain) return 'changed';
          if (!(await this.#isKnown(block))) return 'lost';
          continue;
        }
        await pending;
        pending = this.#settle(block, { batches, chain: this.#chain.hex, key: this.#chain.key });
        // Its error is met by the next await; until then nobody else is to meet it.
        pending.catch(() => undefined);
      }
      await pending;
      pending = undefined;
      if (toSkip > 0) return 'changed';
      journal?.remove();
      return 'done';
    } finally {
      await pending?.catch(() => undefined);
      this.#report.close();
    }
  }

  /** What became of it, in one line. */
  summary(): string {
    const { accepted, known, refused, skipped } = this.counts;
    const { source, client } = this.#deps;
    const parts = [`${grouped(accepted)} ${client === undefined ? 'good' : 'taken'}`];
    if (known > 0) parts.push(`${grouped(known)} known already`);
    parts.push(refused > 0 ? `${grouped(refused)} refused (${this.#report.path})` : '0 refused');
    if (skipped > 0) {
      const why = [...this.#skipped].map(([reason, count]) => `${reason}: ${grouped(count)}`);
      parts.push(`${grouped(skipped)} skipped${why.length > 0 ? ` (${why.join('; ')})` : ''}`);
    }
    const seconds = ((performance.now() - this.#startMs) / 1000).toFixed(1);
    const isOld = accepted === 0 && known > 0;
    const hint = isOld
      ? '; nothing is new, the same was imported before (--again sends it as new)'
      : '';
    const what = client === undefined ? 'dry run, nothing was sent: ' : '';
    return `${source.name}: ${what}${parts.join(', ')}; ${seconds} s${hint}`;
  }

  /**
   * Whether the service has the last batch that it answered for, and so those before: it is sent once more, and known
   * by its key. An event's number would say less: another event has it if the service was restored meanwhile.
   */
  async #isKnown({ body, events }: Block): Promise<boolean> {
    const { before } = this.#deps;
    if (this.#sender === undefined || before?.lastSeq === 0) return true;
    if (events === 0) return false;
    const { accepted, duplicates, isRetried } = await this.#sender.send(body, this.#chain.key);
    return accepted === 0 && duplicates > 0 && !isRetried;
  }

  get #events(): number {
    return this.counts.accepted + this.counts.known;
  }

  /** Brings a block to its end: all that follows from it is noted when this resolves. */
  async #settle(
    block: Block,
    at: { readonly batches: number; readonly chain: string; readonly key: string },
  ): Promise<void> {
    const { counts } = this;
    for (const [reason, count] of block.skipped) {
      counts.skipped += count;
      this.#skipped.set(reason, (this.#skipped.get(reason) ?? 0) + count);
    }
    const refusals = [...block.refusals];
    if (block.events > 0) {
      refusals.push(
        ...(this.#sender === undefined
          ? await this.#judged(block)
          : await this.#taken(block, await this.#sent(this.#sender, block, at))),
      );
    }
    refusals.sort((a, b) => a.line - b.line);
    counts.refused += refusals.length;
    this.#report.add(refusals);
    this.#note(at);
    const { source, bar } = this.#deps;
    const { bytesTotal } = source;
    bar.show({
      events: this.#events,
      refused: counts.refused,
      bytesRead: source.bytesRead(),
      bytesTotal,
    });
  }

  async #sent(
    sender: BatchSender,
    { body }: Block,
    { key, batches }: { readonly key: string; readonly batches: number },
  ): Promise<SentBatch> {
    const answer = await sender.send(body, key);
    return batches === this.#deps.resent ? { ...answer, isRetried: true } : answer;
  }

  /** Counts what the service says; returns what it refused. */
  async #taken(block: Block, answer: SentBatch): Promise<Refusal[]> {
    const { counts } = this;
    const { accepted, duplicates, rejected, isRetried, last_seq, dead } = answer;
    counts.accepted += accepted + (isRetried ? duplicates : 0);
    counts.known += isRetried ? 0 : duplicates;
    this.#lastSeq = last_seq ?? this.#lastSeq;
    if (dead !== undefined) {
      this.#deps.bar.say(`${dead.length} events are durable but dead: seq ${dead.join(', ')}`);
    }
    const listed = byLine(answer.errors);
    if (listed.size >= rejected) return refusalsOf(block, listed);
    // The service lists the first ones only; the others are found by its own rules.
    const { faulty } = await this.#judgement(block);
    const judged = byLine(
      faulty.flatMap(({ line, faults }) => faults.map((fault) => ({ line, ...fault }))),
    );
    const all = refusalsOf(block, new Map([...judged, ...listed]));
    const unlisted = rejected - all.length;
    if (unlisted > 0) {
      counts.refused += unlisted;
      const { line } = block.originOf(1);
      this.#deps.bar.say(
        `${grouped(unlisted)} more events from line ${line} on were refused, and are not in the report`,
      );
    }
    return all;
  }

  /** Judges a block without a service. */
  async #judged(block: Block): Promise<Refusal[]> {
    const { good, faulty } = await this.#judgement(block);
    this.counts.accepted += good;
    const faults = faulty.flatMap(({ line, faults }) =>
      faults.map((fault) => ({ line, ...fault })),
    );
    return refusalsOf(block, byLine(faults));
  }

  /** The rules are hundreds of modules, which a feed without faults needs none of. */
  async #judgement(block: Block) {
    if (this.#judge === undefined) {
      const { Judge } = await import('./judge.ts');
      this.#judge = new Judge(this.#deps.options.stockMin);
    }
    return this.#judge.judge(block.body, Date.now());
  }

  #note({ batches, chain }: { readonly batches: number; readonly chain: string }): void {
    const { journal, salt, bar } = this.#deps;
    const isNoted = journal?.write({
      batches,
      chain,
      salt,
      counts: this.counts,
      lastSeq: this.#lastSeq,
      reportBytes: this.#report.bytes,
      at: new Date().toISOString(),
    });
    if (isNoted !== false || this.#hasSaidThatNothingIsNoted) return;
    this.#hasSaidThatNothingIsNoted = true;
    bar.say(
      `how far it is can't be noted in ${journal?.path}: interrupted, it would send all again, which changes nothing`,
    );
  }
}

/** Reasons by line of the batch. */
function byLine(faults: readonly ListedFault[]): Map<number, string> {
  const lines = new Map<number, string>();
  for (const { line = 0, pointer, detail } of faults) {
    const reason = ascii(
      pointer === '' || detail.includes(pointer.slice(1)) ? detail : `${pointer}: ${detail}`,
    );
    const before = lines.get(line);
    lines.set(line, before === undefined ? reason : `${before} ${reason}`);
  }
  return lines;
}

function refusalsOf(block: Block, reasons: ReadonlyMap<number, string>): Refusal[] {
  return [...reasons].map(([line, reason]) => ({ ...block.originOf(line), reason }));
}

/** So that it can stand in a file of any encoding. */
function ascii(text: string): string {
  return text.replaceAll(/[^\x20-\x7e]/g, '?');
}
