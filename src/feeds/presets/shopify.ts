/**
 * Shopify's two exports. Inventory has a row for each location, or in older files a column for each: one is
 * picked by `--location`, or `--location=*` adds all of them up, for rows that stand together. Products have a
 * row for each variant, and rows that carry only images. Pure, any thread.
 */
import { FeedError } from '../feed.ts';
import { asciiText } from '../identifiers.ts';
import { type DecimalMark, readWhole } from '../numbers.ts';
import type {
  Columns,
  PresetOptions,
  Row,
  RowEvent,
  RowReader,
  TablePreset,
} from '../table-preset.ts';

const QUANTITIES = [
  'On hand (new)',
  'On hand (current)',
  'On hand',
  'Available',
  'Available (not editable)',
];
const ALL = '*';
const NO_SKU = 'row without a SKU';

export const SHOPIFY_INVENTORY: TablePreset = {
  name: 'shopify-inventory',
  decimal: '.',
  recognises: (columns) =>
    columns.has('Handle', 'SKU') &&
    (columns.has('Location') || columns.has('COO')) &&
    !columns.has('Variant Price'),
  open: (columns, options) =>
    columns.has('Location') ? byRow(columns, options) : byColumn(columns, options),
};

function byRow(columns: Columns, { location, decimal }: PresetOptions): RowReader {
  const at = columns.find('Location');
  const quantities = QUANTITIES.map((name) => columns.find(name)).filter((column) => column >= 0);
  if (quantities.length === 0)
    throw new FeedError('the inventory has no column On hand or Available');
  const idOf = idReader(columns);
  const pick = (row: Row, event: RowEvent) => {
    idOf(row, event);
    const cell = quantities.map((column) => row.text(column)).find((text) => text !== '') ?? '';
    if (/^not stocked$/i.test(cell)) event.skip = 'not stocked there';
    else event.setStock(cell, decimal);
  };
  if (location === ALL) return adding(pick);
  let only = location;
  return {
    read: (row, event) => {
      const place = row.text(at);
      only ??= place;
      if (place === only) pick(row, event);
      else if (location !== undefined) event.skip = 'other location';
      else {
        event.fault = `there are several locations, ${asciiText(only)} and ${asciiText(place)}: choose one with --location, or add them up with --location=*`;
      }
    },
  };
}

/** Adds up the rows of one SKU that stand together; one that comes back later is refused. */
function adding(pick: (row: Row, event: RowEvent) => void): RowReader {
  const done = new Set<string>();
  let id = '';
  let sum: bigint | undefined;
  const emit = (event: RowEvent): boolean => {
    event.clear();
    if (id === '') return false;
    done.add(id);
    event.id = id;
    if (sum === undefined) event.skip = 'not stocked anywhere';
    else event.stock = String(sum);
    id = '';
    sum = undefined;
    return true;
  };
  return {
    read: (row, event) => {
      pick(row, event);
      if (event.fault !== undefined) return;
      const next = event.id;
      const { stock } = event;
      if (next === '') return;
      if (done.has(next)) {
        event.fault = `the rows of ${asciiText(next)} do not stand together, so they can't be added up`;
        return;
      }
      const isSame = next === id;
      if (isSame || !emit(event)) {
        event.clear();
        event.skip = 'added to other rows';
      }
      id = next;
      if (stock !== '') sum = (sum ?? 0n) + BigInt(stock);
    },
    flush: emit,
  };
}

function byColumn(columns: Columns, { location, decimal }: PresetOptions): RowReader {
  const places = columns.names.slice(columns.find('COO') + 1).map((name) => name.trim());
  const first = columns.find('COO') + 1;
  const only = location ?? (places.length === 1 ? places[0] : undefined);
  if (only === undefined || (only !== ALL && !places.includes(only))) {
    throw new FeedError(
      `choose a location with --location: ${places.join(', ')}; or add them up with --location=*`,
    );
  }
  const chosen = only === ALL ? places.map((_, i) => first + i) : [first + places.indexOf(only)];
  const idOf = idReader(columns);
  return {
    read: (row, event) => {
      idOf(row, event);
      const stocked = chosen
        .map((column) => row.text(column))
        .filter((text) => text !== '' && !/^not stocked$/i.test(text));
      if (stocked.length === 0) event.skip = 'not stocked there';
      else addUp(stocked, event, decimal);
    },
  };
}

function addUp(cells: readonly string[], event: RowEvent, decimal: DecimalMark): void {
  let sum = 0n;
  for (const cell of cells) {
    const whole = readWhole(cell, decimal);
    if (whole === undefined) {
      event.fault = `the stock ${asciiText(cell)} is no whole number`;
      return;
    }
    sum += BigInt(whole);
  }
  event.stock = String(sum);
}

/** The SKU, or where there is none the handle with the options. */
function idReader(columns: Columns): (row: Row, event: RowEvent) => void {
  const sku = columns.find('SKU');
  const handle = columns.find('Handle');
  const options = [1, 2, 3].map((n) => columns.find(`Option${n} Value`));
  return (row, event) => {
    const cell = row.text(sku);
    if (cell !== '') return event.setId(cell);
    const parts = options.map((column) => row.text(column)).filter((text) => text !== '');
    const name = row.text(handle);
    if (name !== '') event.setId([name, ...parts].join('/'));
  };
}

export const SHOPIFY_PRODUCTS: TablePreset = {
  name: 'shopify-products',
  decimal: '.',
  recognises: (columns) =>
    columns.has('Variant SKU', 'Variant Price') ||
    (columns.has('SKU', 'Price') && columns.find('URL handle', 'Inventory quantity') >= 0),
  open: (columns, { decimal }) => {
    const sku = columns.find('Variant SKU', 'SKU');
    const price = columns.find('Variant Price', 'Price');
    const stock = columns.find('Variant Inventory Qty', 'Inventory quantity');
    return {
      read: (row, event) => {
        const cell = row.text(sku);
        if (cell === '') event.skip = NO_SKU;
        event.setId(cell);
        event.setPrice(row.text(price), decimal);
        event.setStock(row.text(stock), decimal);
      },
    };
  },
};
