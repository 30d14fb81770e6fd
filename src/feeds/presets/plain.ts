/**
 * Tables that say what they mean: this service's own export, and with `--map` any other. Later rows of a
 * product count. Pure, any thread.
 */
import { FeedError } from '../feed.ts';
import type { Columns, TablePreset } from '../table-preset.ts';

const NAMES = {
  product_id: ['product_id', 'id', 'sku', 'article', 'item'],
  price: ['price'],
  stock: ['stock', 'quantity', 'qty', 'inventory'],
  occurred_at: ['occurred_at'],
} as const;

export type Field = keyof typeof NAMES;
export const FIELDS = Object.keys(NAMES) as readonly Field[];
/** Column of the file by field. */
export type FieldMap = Readonly<Partial<Record<Field, string>>>;

type Found = Readonly<Record<Field, number>>;

export const PLAIN: TablePreset = plain(undefined);

/** The preset that takes the columns of `map`; those that it doesn't name have no news. */
export function plain(map: FieldMap | undefined): TablePreset {
  const found = (columns: Columns): Found => {
    const of = (field: Field): number => {
      if (map === undefined) return columns.find(...NAMES[field]);
      const name = map[field];
      if (name === undefined) return -1;
      const at = columns.find(name);
      if (at < 0) {
        throw new FeedError(
          `--map says ${field}=${name}, but the header has no such column: ${columns.names.join(', ')}`,
        );
      }
      return at;
    };
    const [product_id, price, stock, occurred_at] = FIELDS.map(of);
    return { product_id, price, stock, occurred_at };
  };
  return {
    name: map === undefined ? 'table' : 'map',
    recognises: (columns) => {
      const { product_id, price, stock } = found(columns);
      return product_id >= 0 && (price >= 0 || stock >= 0);
    },
    decimal: undefined,
    numberColumns: (columns) => {
      const { price, stock } = found(columns);
      return [price, stock];
    },
    open: (columns, { decimal }) => {
      const { product_id, price, stock, occurred_at } = found(columns);
      return {
        read: (row, event) => {
          event.setId(row.text(product_id));
          event.setPrice(row.text(price), decimal);
          event.setStock(row.text(stock), decimal);
          event.occurredAt = row.text(occurred_at);
        },
      };
    },
  };
}
