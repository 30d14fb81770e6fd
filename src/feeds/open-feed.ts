/**
 * Finds out what a feed is from how it begins, and makes its converter: NDJSON, a JSON array, a table, BMEcat
 * or EDIFACT. What is decided without being asked is said. Pure, any thread.
 */
import { BmecatConverter } from './bmecat.ts';
import { EdifactConverter } from './edifact.ts';
import type { Converter, ReportForm } from './feed.ts';
import { FeedError } from './feed.ts';
import { ArrayConverter, NdjsonConverter } from './ndjson.ts';
import { type FieldMap, plain } from './presets/plain.ts';
import { TableConverter } from './table.ts';
import { type Encoding, readHead } from './table-head.ts';
import type { PresetOptions } from './table-preset.ts';
import { TABLE_PRESETS } from './table-presets.ts';

export const FORMATS = ['ndjson', 'json', 'csv', 'tsv', 'bmecat', 'edifact'] as const;
export type Format = (typeof FORMATS)[number];
/** Presets of formats that are no tables. */
const OTHER_PRESETS: Readonly<Record<string, Format>> = {
  'bmecat-prices': 'bmecat',
  'edifact-pricat': 'edifact',
  'edifact-invrpt': 'edifact',
};
export const PRESET_NAMES: readonly string[] = [
  ...TABLE_PRESETS.map(({ name }) => name),
  ...Object.keys(OTHER_PRESETS),
];

export interface FeedOptions extends Omit<PresetOptions, 'decimal'> {
  readonly format: Format | undefined;
  readonly preset: string | undefined;
  readonly map: FieldMap | undefined;
  readonly delimiter: string | undefined;
  readonly encoding: Encoding | undefined;
  readonly decimal: '.' | ',' | undefined;
  /** Event time of what has none of its own; '' = as it arrives. */
  readonly occurredAt: string;
  /** `occurredAt` was asked for, so that it counts before a time that the feed says of itself. */
  readonly isTimeAsked: boolean;
  readonly priceType: string | undefined;
  readonly priceQuantity: string | undefined;
}

export interface OpenFeed {
  readonly converter: Converter;
  /** Bytes before the first record. */
  readonly skip: number;
  /** What it was taken for, in words. */
  readonly what: string;
  /** Whether its events have the event time that the command line says. */
  readonly takesEventTime: boolean;
  /** Nothing of it counts before its end was seen. */
  readonly isWholeOnly: boolean;
  readonly report: ReportForm;
}

/** The feed that begins with `sample`. Throws FeedError. */
export function openFeed(sample: Buffer, isWhole: boolean, options: FeedOptions): OpenFeed {
  const bom = sample.subarray(0, 3).equals(Buffer.from([0xef, 0xbb, 0xbf])) ? 3 : 0;
  const start = sample.toString('latin1', bom, bom + 512).trimStart();
  const wantsTable =
    options.map !== undefined || TABLE_PRESETS.some(({ name }) => name === options.preset);
  const asked = options.format ?? OTHER_PRESETS[options.preset ?? ''];
  const format = asked ?? (wantsTable ? 'csv' : guessFormat(start));
  if (format === 'bmecat' || format === 'edifact') return openTree(format, options);
  if (format === 'ndjson' || format === 'json') {
    const isArray = format === 'json';
    return {
      converter: isArray ? new ArrayConverter() : new NdjsonConverter(),
      skip: bom,
      what: isArray ? 'a JSON array of events' : 'events, one a line (NDJSON)',
      takesEventTime: false,
      isWholeOnly: false,
      report: { kind: 'ndjson' },
    };
  }
  return openTable(sample, isWhole, {
    ...options,
    delimiter: options.delimiter ?? (format === 'tsv' ? '\t' : undefined),
  });
}

/** A format that is read through and through. */
function openTree(format: 'bmecat' | 'edifact', options: FeedOptions): OpenFeed {
  const isBmecat = format === 'bmecat';
  const { preset } = options;
  const message =
    preset === 'edifact-pricat' ? 'PRICAT' : preset === 'edifact-invrpt' ? 'INVRPT' : undefined;
  const own = options.isTimeAsked ? '' : ', with its own time where it says one';
  return {
    converter: isBmecat
      ? new BmecatConverter(options)
      : new EdifactConverter({ ...options, message }),
    skip: 0,
    what: `${isBmecat ? 'a BMEcat catalogue (bmecat-prices)' : 'an EDIFACT interchange'}${own}`,
    takesEventTime: true,
    isWholeOnly: true,
    report: { kind: 'ndjson' },
  };
}

function guessFormat(start: string): Format {
  if (start.startsWith('<')) return 'bmecat';
  if (/^UN[AB]/.test(start)) return 'edifact';
  if (start.startsWith('[')) return 'json';
  // A report of refused lines begins with a comment.
  return start.startsWith('{') || /^# line \d/.test(start) ? 'ndjson' : 'csv';
}

function openTable(sample: Buffer, isWhole: boolean, options: FeedOptions): OpenFeed {
  const { map, occurredAt } = options;
  if (isWhole && sample.length === 0) throw new FeedError('it is empty');
  const asked =
    map === undefined ? TABLE_PRESETS.find(({ name }) => name === options.preset) : plain(map);
  const head = readHead(sample, isWhole, { ...options, preset: asked });
  const { decimal, delimiter, encoding, preset, header } = head;
  const guessed = asked === undefined ? `${preset.name}, by its header` : preset.name;
  const separator = delimiter === '\t' ? 'tab' : delimiter;
  return {
    converter: new TableConverter(head, { ...options, decimal }, occurredAt),
    skip: head.rowsAt,
    what: `a table (${guessed}; ${separator} between cells, decimal ${decimal}, ${encoding})`,
    takesEventTime: true,
    isWholeOnly: false,
    report: { kind: 'table', delimiter, header },
  };
}
