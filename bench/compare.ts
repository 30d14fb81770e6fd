/**
 * Runs one bench of two work trees in turns, and says how the figures of this one stand to those of the other:
 *
 *   this process ──fork──▶ OTHER/bench/NAME · bench/NAME · OTHER/bench/NAME · …  ──IPC──▶ reports
 *
 * Each work tree has its own node_modules and runs its own bench; figures are matched by their names. The
 * order is turned round from one turn to the next, because a machine gets slower and faster over minutes.
 *   node bench/compare.ts OTHER NAME [turns] [--smoke] [arguments of the bench]
 */
import { fork } from 'node:child_process';
import { once } from 'node:events';
import { existsSync } from 'node:fs';
import { basename, join, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';
import { figure, formatTable, median, type Report } from './support/report.ts';
import { exitOnSignals } from './support/run-bench.ts';
import { START_ENV } from './support/start-env.ts';

const TURNS_DEFAULT = 4;
const HERE = fileURLToPath(new URL('..', import.meta.url));

/** The figures of one run, by name. */
type Figures = ReadonlyMap<string, number>;

/** Where a work tree has the bench; before 0.1.0 their files had shorter names. */
function benchIn(tree: string, name: string): string {
  for (const file of [`${name}.bench.ts`, `${name}.ts`]) {
    const path = join(tree, 'bench', file);
    if (existsSync(path)) return path;
  }
  throw new Error(`${tree} has no bench ${name}`);
}

async function run(tree: string, name: string, args: readonly string[]) {
  const env = { ...START_ENV, ...process.env };
  const child = fork(benchIn(tree, name), args, { cwd: tree, env, silent: true });
  const kill = () => void child.kill('SIGTERM');
  process.once('exit', kill);
  let report: Report | undefined;
  child.on('message', (message) => {
    report = message as Report;
  });
  child.stdout?.resume();
  child.stderr?.pipe(process.stderr);
  const [code, signal] = await once(child, 'exit');
  process.off('exit', kill);
  if (code !== 0 || report === undefined) throw new Error(`${tree} ended with ${code ?? signal}`);
  return { figures: figuresOf(report), aims: report.aims };
}

/** The aims, and every cell of a table that is a number; of rounds the median. */
function figuresOf({ aims, tables }: Report): Figures {
  const figures = new Map(aims.map(({ what, measured }) => [what, measured]));
  for (const { title, columns, rows } of tables) {
    const areRounds = columns[0] === 'round';
    for (const [c, column] of columns.entries()) {
      if (c === 0) continue;
      const values = rows.map((row) => Number(row[c].replaceAll(',', '')));
      if (areRounds) note(`${title}: ${column}`, median(values));
      else for (const [r, row] of rows.entries()) note(`${title}: ${row[0]}, ${column}`, values[r]);
    }
  }
  return figures;

  function note(name: string, value: number): void {
    if (Number.isFinite(value)) figures.set(name, value);
  }
}

async function compare(other: string, name: string, turns: number, args: readonly string[]) {
  const [before, now]: [Figures[], Figures[]] = [[], []];
  const both = [() => one(other, before), () => one(HERE, now)];
  for (let turn = 0; turn < turns; turn++) {
    for (const next of turn % 2 === 0 ? both : both.toReversed()) await next();
  }
  const names = [...(before[0]?.keys() ?? [])].filter((key) => now[0]?.has(key) === true);
  const rows = names.map((key) => {
    const was = before.map((figures) => figures.get(key) ?? Number.NaN);
    const is = now.map((figures) => figures.get(key) ?? Number.NaN);
    const ratios = is.map((value, turn) => value / was[turn]);
    const range = `${figure(Math.min(...ratios))}–${figure(Math.max(...ratios))}`;
    const ratio = `${figure(median(is) / median(was))} (${range})`;
    return [key, figure(median(was)), figure(median(is)), ratio];
  });
  const columns = ['what', basename(other), basename(HERE), 'ratio (of turns)'];
  return formatTable({ title: '', columns, rows });

  async function one(tree: string, to: Figures[]): Promise<void> {
    const { figures, aims } = await run(tree, name, args);
    to.push(figures);
    const all = aims.map(({ what, measured }) => `${what}: ${figure(measured)}`);
    console.error(`${basename(tree)} ${to.length}: ${all.join('; ')}`);
  }
}

exitOnSignals();
const [other, name, ...rest] = process.argv.slice(2);
if (other === undefined || name === undefined) {
  console.error(
    'usage: node bench/compare.ts OTHER NAME [turns] [--smoke] [arguments of the bench]',
  );
  process.exit(1);
}
const turns = Number(rest[0]) > 0 ? Number(rest.shift()) : TURNS_DEFAULT;
console.log(`${name}: ${turns} turns, medians`);
console.log(await compare(resolve(other), name, turns, rest));
