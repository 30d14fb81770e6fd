/** What `import` is given on the command line, checked. Main thread. */
import { parseDuration } from '../../config/quantity.ts';
import { isEventTime } from '../../event/event-time.ts';
import { FORMATS, type Format, PRESET_NAMES } from '../../feeds/open-feed.ts';
import { FIELDS, type Field, type FieldMap } from '../../feeds/presets/plain.ts';
import {
  type CommandContext,
  choiceOf,
  hasFlag,
  type OptionValues,
  quoted,
  textOf,
  UsageError,
} from '../command.ts';

const ENCODINGS = ['utf-8', 'windows-1252'] as const;
const DECIMALS = ['.', ','] as const;
const PATIENCE = '5m';

export interface ImportOptions {
  readonly files: readonly string[];
  readonly format: Format | undefined;
  readonly preset: string | undefined;
  readonly map: FieldMap | undefined;
  readonly delimiter: string | undefined;
  readonly encoding: (typeof ENCODINGS)[number] | undefined;
  readonly decimal: (typeof DECIMALS)[number] | undefined;
  readonly location: string | undefined;
  readonly storeView: string | undefined;
  readonly currency: string | undefined;
  readonly outOfStockIsZero: boolean;
  readonly priceType: string | undefined;
  readonly priceQuantity: string | undefined;
  /** RFC 3339, or the file's time, or as events arrive; `undefined` = file's, of a pipe as they arrive. */
  readonly eventTime: string | undefined;
  readonly refused: string | undefined;
  readonly isDryRun: boolean;
  readonly isAgain: boolean;
  readonly stockMin: number;
  readonly patienceMs: number;
}

export function readOptions({ values, operands, environment }: CommandContext): ImportOptions {
  if (operands.length === 0) throw new UsageError('import needs a FILE, or - for standard input');
  const refused = textOf(values, 'refused');
  if (refused !== undefined && operands.length > 1) {
    throw new UsageError('--refused goes with one FILE');
  }
  const map = mapOf(values);
  const preset = choiceOf(values, 'preset', PRESET_NAMES);
  if (map !== undefined && preset !== undefined) {
    throw new UsageError('--map and --preset go one without the other');
  }
  return {
    files: operands,
    format: choiceOf(values, 'format', FORMATS),
    preset,
    map,
    delimiter: delimiterOf(values),
    encoding: choiceOf(values, 'encoding', ENCODINGS),
    decimal: choiceOf(values, 'decimal', DECIMALS),
    location: textOf(values, 'location'),
    storeView: textOf(values, 'store-view'),
    currency: textOf(values, 'currency'),
    priceType: textOf(values, 'price-type'),
    priceQuantity: priceQuantityOf(values),
    outOfStockIsZero: hasFlag(values, 'out-of-stock-zero'),
    eventTime: eventTimeOf(values),
    refused,
    isDryRun: hasFlag(values, 'dry-run'),
    isAgain: hasFlag(values, 'again'),
    stockMin: stockMinOf(values, environment.STOCK_MIN),
    patienceMs: patienceOf(values),
  };
}

/** `product_id=sku,price=VK,stock=Bestand` */
function mapOf(values: OptionValues): FieldMap | undefined {
  const text = textOf(values, 'map');
  if (text === undefined) return undefined;
  const map: Partial<Record<Field, string>> = {};
  for (const pair of text.split(',')) {
    const at = pair.indexOf('=');
    const field = FIELDS.find((known) => known === pair.slice(0, at).trim());
    const column = pair.slice(at + 1).trim();
    if (at < 0 || field === undefined || column === '' || map[field] !== undefined) {
      throw new UsageError(
        `--map must be like product_id=sku,price=VK,stock=Bestand (and occurred_at), not ${quoted(text)}`,
      );
    }
    map[field] = column;
  }
  if (map.product_id === undefined || (map.price ?? map.stock) === undefined) {
    throw new UsageError('--map needs product_id, and price or stock');
  }
  return map;
}

function delimiterOf(values: OptionValues): string | undefined {
  const text = textOf(values, 'delimiter');
  if (text === undefined) return undefined;
  const delimiter = text === 'tab' || text === '\\t' ? '\t' : text;
  if (!/^[\t\x20\x21\x23-\x2f\x3a-\x40\x5b-\x60\x7b-\x7e]$/.test(delimiter)) {
    throw new UsageError(`--delimiter must be one character such as ; or tab, not ${quoted(text)}`);
  }
  return delimiter;
}

function eventTimeOf(values: OptionValues): string | undefined {
  const text = textOf(values, 'event-time');
  if (text === undefined || text === 'file' || text === 'now' || isEventTime(text)) return text;
  throw new UsageError(
    `--event-time must be file, now, or a time like 2026-01-31T12:00:00Z, not ${quoted(text)}`,
  );
}

function stockMinOf(values: OptionValues, fromEnvironment: string | undefined): number {
  const text = textOf(values, 'stock-min') ?? fromEnvironment ?? '0';
  const least = Number(text);
  if (!/^-?\d+$/.test(text) || !Number.isSafeInteger(least) || least > 0) {
    throw new UsageError(`--stock-min must be a whole number, 0 or less, not ${quoted(text)}`);
  }
  return least;
}

function patienceOf(values: OptionValues): number {
  const text = textOf(values, 'retry-for') ?? PATIENCE;
  const ms = parseDuration(text);
  if (ms !== undefined) return ms;
  throw new UsageError(`--retry-for must be a duration like 30s or 5m, not ${quoted(text)}`);
}

function priceQuantityOf(values: OptionValues): string | undefined {
  const text = textOf(values, 'price-quantity');
  if (text === undefined || (/^\d+(?:\.\d+)?$/.test(text) && Number(text) > 0)) return text;
  throw new UsageError(`--price-quantity must be a number above 0, not ${quoted(text)}`);
}
