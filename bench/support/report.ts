/**
 * What a bench found: tables, and the aims with whether they were reached. Made by each bench,
 * printed as it ends, and collected by run-all.ts. Plain data, crosses processes as JSON.
 */

export interface Table {
  readonly title: string;
  readonly columns: readonly string[];
  readonly rows: readonly (readonly string[])[];
}

/** One figure that the service is meant to reach. */
export interface Aim {
  readonly what: string;
  readonly measured: number;
  readonly wanted: number;
  /** Which side of `wanted` is the good one. */
  readonly better: 'higher' | 'lower';
  readonly unit: string;
}

export interface Report {
  readonly name: string;
  /** How it was run, one sentence each. */
  readonly conditions: readonly string[];
  readonly tables: readonly Table[];
  readonly aims: readonly Aim[];
  /** What a reader must know to read the figures right. */
  readonly notes: readonly string[];
}

/** The report as Markdown, one section at heading level 2. */
export function formatReport(report: Report): string {
  const parts = [`## ${report.name}`, report.conditions.map((line) => `- ${line}`).join('\n')];
  for (const table of report.tables) parts.push(`**${table.title}**`, formatTable(table));
  if (report.aims.length > 0) parts.push(formatTable(aimTable('Aims', report.aims)));
  parts.push(...report.notes);
  return `${parts.filter((part) => part !== '').join('\n\n')}\n`;
}

export function aimTable(title: string, aims: readonly Aim[]): Table {
  return {
    title,
    columns: ['what', 'measured', 'wanted', 'reached'],
    rows: aims.map((aim) => [
      aim.what,
      `${measuredFigure(aim)} ${aim.unit}`.trim(),
      `${aim.better === 'higher' ? '≥' : '≤'} ${figure(aim.wanted)} ${aim.unit}`.trim(),
      isReached(aim) ? 'yes' : 'no',
    ]),
  };
}

export function formatTable({ columns, rows }: Table): string {
  const widths = columns.map((name, i) =>
    Math.max(name.length, ...rows.map((row) => row[i].length)),
  );
  const line = (cells: readonly string[]) =>
    `| ${cells.map((cell, i) => cell.padEnd(widths[i])).join(' | ')} |`;
  const rule = `| ${widths.map((width) => '-'.repeat(width)).join(' | ')} |`;
  return [line(columns), rule, ...rows.map(line)].join('\n');
}

/** `digits` significant digits, with thousands apart: 1,830,000 · 45.2 · 0.973. */
export function figure(value: number, digits = 3): string {
  if (!Number.isFinite(value)) return String(value);
  const rounded = Number(value.toPrecision(digits));
  return rounded.toLocaleString('en-US', { maximumSignificantDigits: digits });
}

/** What was measured, with as many digits as show on which side of the wanted figure it lies. */
function measuredFigure(aim: Aim): string {
  const shown = (digits: number) => ({
    ...aim,
    measured: Number(aim.measured.toPrecision(digits)),
  });
  let digits = 3;
  while (digits < 17 && isReached(shown(digits)) !== isReached(aim)) digits++;
  return figure(aim.measured, digits);
}

export function median(values: readonly number[]): number {
  const sorted = [...values].sort((a, b) => a - b);
  const middle = sorted.length >> 1;
  return sorted.length % 2 === 1 ? sorted[middle] : (sorted[middle - 1] + sorted[middle]) / 2;
}

/** The values that a quarter of `values` (one at least) lie below and above, by nearest rank. */
export function quartiles(values: readonly number[]): [number, number] {
  const sorted = [...values].sort((a, b) => a - b);
  const rank = Math.ceil(sorted.length / 4);
  return [sorted[rank - 1], sorted[sorted.length - rank]];
}

function isReached({ better, measured, wanted }: Aim): boolean {
  return better === 'higher' ? measured >= wanted : measured <= wanted;
}
