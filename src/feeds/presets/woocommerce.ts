/**
 * WooCommerce's product export. A leading apostrophe before =, +, -, @ is its guard against formulas; `parent`
 * as stock is that of the row of `Parent`, which stands before. Pure, any thread.
 */
import { coversNow } from '../dates.ts';
import { asciiText } from '../identifiers.ts';
import type { TablePreset } from '../table-preset.ts';

export const WOOCOMMERCE: TablePreset = {
  name: 'woocommerce',
  decimal: '.',
  recognises: (columns) =>
    columns.has('Regular price') &&
    (columns.has('SKU') || columns.has('ID')) &&
    columns.has('Type'),
  open: (columns, { decimal, nowMs }) => {
    const [sku, id, type, parent, stock, regular, sale, from, to] = [
      'SKU',
      'ID',
      'Type',
      'Parent',
      'Stock',
      'Regular price',
      'Sale price',
      'Date sale price starts',
      'Date sale price ends',
    ].map((name) => columns.find(name));
    const parents = new Map<string, string>();
    const unguarded = (text: string) => (/^'[=+\-@]/.test(text) ? text.slice(1) : text);
    return {
      read: (row, event) => {
        const name = row.text(sku);
        const key = name === '' ? `id:${row.text(id)}` : name;
        event.setId(name === '' && row.text(id) === '' ? '' : key);
        const salePrice = row.text(sale);
        const holds = salePrice === '' ? 'past' : coversNow(row.text(from), row.text(to), nowMs);
        if (holds === undefined) {
          event.fault = `${asciiText(`${row.text(from)} - ${row.text(to)}`)} is no time of a sale`;
        } else event.setPrice(holds === 'now' ? salePrice : row.text(regular), decimal);
        const level = unguarded(row.text(stock));
        event.setStock(
          level.toLowerCase() === 'parent' ? (parents.get(row.text(parent)) ?? '') : level,
          decimal,
        );
        if (row.text(type).toLowerCase() === 'variable') parents.set(key, event.stock);
      },
    };
  },
};
