/**
 * Marks put in their places among the runs in PostgreSQL, those of many fields in a few statements. The history's own
 * thread; inside a transaction.
 *
 * Most events come in order: only the last run of their field changes, and that is known. Of late ones the
 * neighbours are read: of each mark the run that it falls into, and those beside it that it may join. What lies between
 * the neighbours of two marks stays as it is, so that a mark costs the same however long the history is.
 */
import type pg from 'pg';
import type { FieldChange } from '../history-store.ts';
import type { FieldNumber, Mark } from '../mark.ts';
import { editRuns, lastAtMs, type Run } from '../run.ts';
import { RUNS } from './postgres-history-schema.ts';
import { RUN_COLUMNS, runOf } from './postgres-rows.ts';

/** The last run of each field that is asked for. */
const TAILS = `
  SELECT n, ${RUN_COLUMNS}
  FROM unnest($1::bigint[], $2::smallint[]) WITH ORDINALITY AS asked (product, field, n),
    LATERAL (SELECT ${RUN_COLUMNS} FROM ${RUNS} AS runs
             WHERE runs.product = asked.product AND runs.field = asked.field
             ORDER BY at DESC LIMIT 1) AS run`;
/**
 * Around each moment that is asked for: the run that it falls into, which is the last one that begins until then, and
 * the first behind if that has the value, so that they become one.
 */
const AROUND = `
  SELECT n, ${RUN_COLUMNS}
  FROM unnest($1::bigint[], $2::smallint[], $3::float8[], $4::float8[])
    WITH ORDINALITY AS asked (product, field, moment, said, n),
    LATERAL (
      (SELECT ${RUN_COLUMNS} FROM ${RUNS} AS runs WHERE runs.product = asked.product
         AND runs.field = asked.field AND at <= moment ORDER BY at DESC LIMIT 1)
      UNION ALL
      SELECT ${RUN_COLUMNS} FROM
        (SELECT ${RUN_COLUMNS} FROM ${RUNS} AS runs WHERE runs.product = asked.product
           AND runs.field = asked.field AND at > moment ORDER BY at LIMIT 1) AS next
      WHERE value IS NOT DISTINCT FROM said) AS run`;
/** The run before each moment that is asked for. */
const BEFORE = `
  SELECT n, ${RUN_COLUMNS}
  FROM unnest($1::bigint[], $2::smallint[], $3::float8[]) WITH ORDINALITY AS asked (product, field, moment, n),
    LATERAL (SELECT ${RUN_COLUMNS} FROM ${RUNS} AS runs WHERE runs.product = asked.product
               AND runs.field = asked.field AND at < moment ORDER BY at DESC LIMIT 1) AS run`;
const REMOVE = `
  DELETE FROM ${RUNS} AS runs USING unnest($1::bigint[], $2::smallint[], $3::float8[]) AS old (product, field, at)
  WHERE runs.product = old.product AND runs.field = old.field AND runs.at = old.at`;
const PUT = `
  INSERT INTO ${RUNS} (product, field, at, seq, value, again)
  SELECT * FROM unnest($1::bigint[], $2::smallint[], $3::float8[], $4::bigint[], $5::float8[], $6::bytea[])
  ON CONFLICT (product, field, at) DO UPDATE SET seq = excluded.seq, value = excluded.value, again = excluded.again`;

/** A field that has marks to write, and which one it is. */
export interface FieldWriting {
  readonly product: number;
  readonly number: FieldNumber;
  readonly field: FieldChange;
}

/** A run of which field. */
type FieldRun = Run & Pick<FieldWriting, 'product' | 'number'>;

/** Where a run began that is no more. */
type FieldMoment = Pick<FieldRun, 'product' | 'number' | 'atMs'>;

/** Writes the marks of each, and what is the last run of its field then. */
export async function writeRuns(
  client: pg.ClientBase,
  writings: readonly FieldWriting[],
): Promise<void> {
  await findTails(
    client,
    writings.filter(({ field }) => field.tail === null),
  );
  const late = writings.filter(({ field: { tail, marks } }) => isLate(tail, marks));
  const stretchesOf = await findStretches(client, late);
  const removed: FieldMoment[] = [];
  const put: FieldRun[] = [];
  for (const writing of writings) {
    const { product, number, field } = writing;
    const stretches = stretchesOf.get(writing) ?? [stretchBehind(field)];
    for (const { runs, marks } of stretches) {
      const edits = editRuns(runs, marks);
      for (const atMs of edits.removed) removed.push({ product, number, atMs });
      for (const run of edits.put) put.push({ ...run, product, number });
      // Late marks may leave the last run alone.
      const hasTail = field.tail == null || runs.at(-1)?.atMs === field.tail.atMs;
      if (hasTail) field.tail = edits.runs.at(-1);
    }
  }
  await applyEdits(client, removed, put);
}

function isLate(tail: Run | undefined | null, marks: readonly Mark[]): boolean {
  return tail != null && marks[0].atMs <= lastAtMs(tail);
}

/** Neighbouring runs of a field, and the marks that go among them: editRuns. */
interface Stretch {
  readonly runs: Run[];
  readonly marks: Mark[];
}

function stretchBehind({ tail, marks }: FieldChange): Stretch {
  return { runs: tail == null ? [] : [tail], marks: [...marks] };
}

/** A mark that is late, and the runs that it may change. */
interface LateMark {
  readonly writing: FieldWriting;
  readonly mark: Mark;
  readonly runs: Run[];
}

/** The stretches of each field, ascending, in which it has marks. No run is in two of them. */
async function findStretches(
  client: pg.ClientBase,
  writings: readonly FieldWriting[],
): Promise<Map<FieldWriting, Stretch[]>> {
  const found = new Map<FieldWriting, Stretch[]>();
  const asked = writings.flatMap((writing) =>
    writing.field.marks.map((mark): LateMark => ({ writing, mark, runs: [] })),
  );
  if (asked.length === 0) return found;
  await findRuns(client, AROUND, asked, [asked.map(({ mark }) => mark.value)]);
  // What another value is put in the place of may become one with the run before.
  const begins = asked.filter(({ mark, runs }) => runs.some(({ atMs }) => atMs === mark.atMs));
  if (begins.length > 0) await findRuns(client, BEFORE, begins);
  for (const { writing, mark, runs } of asked) {
    runs.sort((a, b) => a.atMs - b.atMs);
    const stretches = found.get(writing) ?? [];
    found.set(writing, stretches);
    const last = stretches.at(-1);
    const lastAtMs = last?.runs.at(-1)?.atMs ?? Number.NEGATIVE_INFINITY;
    if (last === undefined || (runs[0]?.atMs ?? lastAtMs) > lastAtMs) {
      stretches.push({ runs, marks: [mark] });
      continue;
    }
    last.marks.push(mark);
    for (const run of runs) if (run.atMs > lastAtMs) last.runs.push(run);
  }
  return found;
}

async function findRuns(
  client: pg.ClientBase,
  sql: string,
  asked: readonly LateMark[],
  more: readonly (readonly (number | null)[])[] = [],
): Promise<void> {
  const { rows } = await client.query(sql, [
    asked.map(({ writing }) => writing.product),
    asked.map(({ writing }) => writing.number),
    asked.map(({ mark }) => mark.atMs),
    ...more,
  ]);
  for (const row of rows) asked[Number(row.n) - 1]?.runs.push(runOf(row));
}

async function findTails(client: pg.ClientBase, writings: readonly FieldWriting[]): Promise<void> {
  if (writings.length === 0) return;
  for (const { field } of writings) field.tail = undefined;
  const { rows } = await client.query(TAILS, [
    writings.map(({ product }) => product),
    writings.map(({ number }) => number),
  ]);
  for (const row of rows) {
    const writing = writings[Number(row.n) - 1];
    if (writing !== undefined) writing.field.tail = runOf(row);
  }
}

async function applyEdits(
  client: pg.ClientBase,
  removed: readonly FieldMoment[],
  put: readonly FieldRun[],
): Promise<void> {
  if (removed.length > 0) {
    await client.query(REMOVE, [
      removed.map(({ product }) => product),
      removed.map(({ number }) => number),
      removed.map(({ atMs }) => atMs),
    ]);
  }
  if (put.length === 0) return;
  await client.query(PUT, [
    put.map(({ product }) => product),
    put.map(({ number }) => number),
    put.map(({ atMs }) => atMs),
    put.map(({ seq }) => seq),
    put.map(({ value }) => value),
    put.map(({ again }) => again),
  ]);
}
