/**
 * Magento 2's product export. Rows of a store view have a price of their own: those of `--store-view` count, the
 * others don't. Configurable, grouped and bundle products have no stock. Pure, any thread.
 */
import { coversNow } from '../dates.ts';
import { asciiText } from '../identifiers.ts';
import type { TablePreset } from '../table-preset.ts';

const COMPOSITE = /^(?:configurable|grouped|bundle)$/i;

export const MAGENTO2: TablePreset = {
  name: 'magento2',
  decimal: '.',
  recognises: (columns) =>
    columns.has('sku', 'attribute_set_code') || columns.has('sku', 'store_view_code'),
  open: (columns, { decimal, nowMs, storeView }) => {
    const [sku, view, type, price, special, from, to, qty, manage, config] = [
      'sku',
      'store_view_code',
      'product_type',
      'price',
      'special_price',
      'special_price_from_date',
      'special_price_to_date',
      'qty',
      'manage_stock',
      'use_config_manage_stock',
    ].map((name) => columns.find(name));
    return {
      read: (row, event) => {
        event.setId(row.text(sku));
        const viewCode = row.text(view);
        if (viewCode !== '' && viewCode !== storeView) {
          event.skip = 'row of a store view';
          return;
        }
        const specialPrice = row.text(special);
        const holds = specialPrice === '' ? 'past' : coversNow(row.text(from), row.text(to), nowMs);
        if (holds === undefined) {
          event.fault = `${asciiText(`${row.text(from)} - ${row.text(to)}`)} is no time of a special price`;
        } else event.setPrice(holds === 'now' ? specialPrice : row.text(price), decimal);
        const isManaged = row.text(manage) !== '0' || row.text(config) === '1';
        if (viewCode === '' && isManaged && !COMPOSITE.test(row.text(type))) {
          event.setStock(row.text(qty), decimal);
        }
      },
    };
  },
};
