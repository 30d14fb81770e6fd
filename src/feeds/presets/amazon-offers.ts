/**
 * Amazon's listing files and inventory reports. Lines before the header are passed over. What Amazon keeps in
 * its own warehouses has no stock of the shop's; what is to be deleted is no stock of 0. Pure, any thread.
 */
import type { TablePreset } from '../table-preset.ts';

export const AMAZON_OFFERS: TablePreset = {
  name: 'amazon-offers',
  decimal: '.',
  recognises: (columns) =>
    columns.find('seller-sku') >= 0 ||
    (columns.has('sku') &&
      columns.find(
        'fulfillment-channel',
        'product-id-type',
        'add-delete',
        'fulfillment-center-id',
      ) >= 0),
  open: (columns, { decimal }) => {
    const sku = columns.find('sku', 'seller-sku');
    const price = columns.find('price');
    const stock = columns.find('quantity');
    const channel = columns.find('fulfillment-channel');
    const action = columns.find('add-delete');
    return {
      read: (row, event) => {
        event.setId(row.text(sku));
        if (/^[dx]$/i.test(row.text(action))) {
          event.skip = 'to be deleted: product-service put SKU --delete does that';
          return;
        }
        event.setPrice(row.text(price), decimal);
        if (event.price !== '' && !/[1-9]/.test(event.price)) event.fault = 'the price is 0';
        if (event.price.startsWith('-')) event.fault = 'the price is below 0';
        if (!/^AMAZON_/i.test(row.text(channel))) event.setStock(row.text(stock), decimal);
      },
    };
  },
};
