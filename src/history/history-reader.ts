/** Answers from a history, wherever it is kept; each answer is of one state of it. A thread of its own. */
import type {
  HistoryAnswers,
  HistoryAsk,
  HistoryPage,
  PastState,
  Placed,
  ProductPriorPrice,
} from './history-messages.ts';
import type { HistoryReads, HistoryRow, HistoryView } from './history-store.ts';
import { FIELD_PRICE, FIELD_STOCK, type FieldNumber, type Mark } from './mark.ts';
import { type PriorPriceRule, priorPrice } from './prior-price.ts';
import { marksOf, type Run } from './run.ts';

/** Rows asked for at a time; most questions are answered by fewer. */
const ROWS = 64;
/** Values looked at for a prior price at first: a row that is read costs more than one that is passed over. */
const PRIOR_ROWS = 16;
/** How much more is asked for where that was not enough. */
const MORE = 8;

export class HistoryReader {
  readonly #reads: HistoryReads;

  constructor(reads: HistoryReads) {
    this.#reads = reads;
  }

  /** Rejects with what the database says. */
  answer<K extends HistoryAsk['kind']>(
    ask: HistoryAsk & { kind: K },
  ): Promise<Placed<HistoryAnswers[K]>>;
  answer(ask: HistoryAsk): Promise<Placed<HistoryAnswers[HistoryAsk['kind']]>> {
    return this.#reads.snapshot(async (view) => ({
      place: view.place,
      found: await answerFrom(view, ask),
    }));
  }

  close(): Promise<void> {
    return this.#reads.close();
  }
}

function answerFrom(
  view: HistoryView,
  ask: HistoryAsk,
): Promise<HistoryAnswers[HistoryAsk['kind']]> {
  switch (ask.kind) {
    case 'page':
      return pageOf(view, ask);
    case 'state':
      return stateOf(view, ask.id, ask.atMs);
    case 'prior':
      return priorPricesOf(view, ask.ids, ask.rule);
  }
}

async function priorPricesOf(
  view: HistoryView,
  ids: readonly string[],
  rule: PriorPriceRule,
): Promise<readonly (ProductPriorPrice | undefined)[]> {
  const rows = await view.rows(ids);
  const found: (ProductPriorPrice | undefined)[] = ids.map(() => undefined);
  let open = [...rows.keys()].filter((i) => isListed(rows[i]));
  for (let count = PRIOR_ROWS; open.length > 0; count *= MORE) {
    const listed = open.flatMap((i) => rows[i] ?? []);
    const newest = await view.newest(
      listed.map(({ no }) => no),
      FIELD_PRICE,
      count,
    );
    const short: number[] = [];
    for (const [n, i] of open.entries()) {
      const marks = new CountedMarks(newest[n], count);
      const { id, version, fields } = listed[n];
      const prior = priorPrice(marks, fields[FIELD_PRICE].wholeFromMs, rule);
      if (marks.wantedMore) short.push(i);
      else found[i] = { id, version, ...prior };
    }
    open = short;
  }
  return found;
}

/** Some marks, newest first; knows whether somebody would have read on. */
class CountedMarks implements Iterable<Mark> {
  readonly #marks: readonly Mark[];
  readonly #hasMore: boolean;
  wantedMore = false;

  /** `count` were asked for. */
  constructor(marks: readonly Mark[], count: number) {
    this.#marks = marks;
    this.#hasMore = marks.length === count;
  }

  *[Symbol.iterator](): Iterator<Mark> {
    yield* this.#marks;
    this.wantedMore = this.#hasMore;
  }
}

function isListed(row: HistoryRow | undefined): boolean {
  return row?.fields.some(({ value }) => value !== null) ?? false;
}

async function stateOf(
  view: HistoryView,
  id: string,
  atMs: number,
): Promise<PastState | undefined> {
  const [row] = await view.rows([id]);
  if (row === undefined) return undefined;
  return {
    price: await markAt(view, row.no, FIELD_PRICE, atMs),
    stock: await markAt(view, row.no, FIELD_STOCK, atMs),
    wholeFromMs: Math.max(...row.fields.map(({ wholeFromMs }) => wholeFromMs)),
    version: row.version,
  };
}

async function pageOf(
  view: HistoryView,
  ask: HistoryAsk & { kind: 'page' },
): Promise<HistoryPage | undefined> {
  const [row] = await view.rows([ask.id]);
  if (row === undefined) return undefined;
  const field = ask.field === 'price' ? FIELD_PRICE : FIELD_STOCK;
  const entries: Mark[] = [];
  let behindMs = ask.afterMs ?? ask.fromMs;
  let last: Mark | undefined;
  if (ask.afterMs !== undefined) {
    last = await markAt(view, row.no, field, ask.afterMs);
  } else {
    last = await beginningAt(view, row.no, field, ask.fromMs);
    if (last !== undefined && last.atMs < ask.toMs) entries.push(last);
  }
  for (let isEnd = false; !isEnd && entries.length <= ask.limit; ) {
    const runs = await view.behind(row.no, field, behindMs, ROWS);
    isEnd = runs.length < ROWS;
    for (const { atMs, seq, value } of runs) {
      behindMs = atMs;
      if (atMs >= ask.toMs) {
        isEnd = true;
        break;
      }
      if (last?.value === value) continue;
      last = { atMs, seq, value };
      entries.push(last);
    }
  }
  return {
    entries: entries.slice(0, ask.limit),
    hasMore: entries.length > ask.limit,
    wholeFromMs: row.fields[field].wholeFromMs,
  };
}

/** The last time that a field was said, up to `atMs`. */
async function markAt(
  view: HistoryView,
  product: number,
  field: FieldNumber,
  atMs: number,
): Promise<Mark | undefined> {
  const run = await view.upTo(product, field, atMs);
  return run && marksOf(run).findLast((each) => each.atMs <= atMs);
}

/** When the value that is in force at `atMs` became it. */
async function beginningAt(
  view: HistoryView,
  product: number,
  field: FieldNumber,
  atMs: number,
): Promise<Mark | undefined> {
  const run = await view.upTo(product, field, atMs);
  if (run === undefined) return undefined;
  let { again: _, ...beginning }: Run = run;
  for (;;) {
    const before = await view.before(product, field, beginning.atMs, ROWS);
    for (const { atMs: at, seq, value } of before) {
      if (value !== beginning.value) return beginning;
      beginning = { atMs: at, seq, value };
    }
    if (before.length < ROWS) return beginning;
  }
}
