/**
 * Google Merchant's product feed: prices with their currency, a sale price for a time, stock rarely. A file
 * has one currency, `--currency` or the first one that stands there. Pure, any thread.
 */
import { coversNow } from '../dates.ts';
import { asciiText } from '../identifiers.ts';
import { readDecimal } from '../numbers.ts';
import type { RowEvent, TablePreset } from '../table-preset.ts';

const AMOUNT_FIRST = /^(\S+)\s+([A-Z]{3})$/;
const CODE_FIRST = /^([A-Z]{3})\s+(\S+)$/;

export const GOOGLE_MERCHANT: TablePreset = {
  name: 'google-merchant',
  decimal: '.',
  recognises: (columns) => columns.has('id', 'price', 'availability') && columns.has('title'),
  open: (columns, { decimal, nowMs, currency, outOfStockIsZero }) => {
    const id = columns.find('id');
    const price = columns.find('price');
    const sale = columns.find('sale price');
    const saleTime = columns.find('sale price effective date');
    const stock = columns.find('quantity', 'sell on google quantity');
    const availability = columns.find('availability');
    let only = currency;

    function setMoney(text: string, event: RowEvent): void {
      if (text === '') return;
      const first = AMOUNT_FIRST.exec(text);
      const [amount, code] = first?.slice(1) ?? CODE_FIRST.exec(text)?.slice(1).reverse() ?? [];
      const number = amount === undefined ? undefined : readDecimal(amount, decimal);
      if (number === undefined || code === undefined) {
        event.fault = `the price ${asciiText(text)} is not like "12.50 EUR"`;
        return;
      }
      only ??= code;
      if (code === only) event.price = number;
      else event.fault = `the price is in ${code}, not in ${only}`;
    }

    return {
      read: (row, event) => {
        event.setId(row.text(id));
        const saleText = row.text(sale);
        const [from = '', to = ''] = row
          .text(saleTime)
          .split('/')
          .map((part) => part.trim());
        const holds = saleText === '' ? 'past' : coversNow(from, to, nowMs);
        if (holds === undefined)
          event.fault = `${asciiText(row.text(saleTime))} is no time of a sale`;
        else setMoney(holds === 'now' ? saleText : row.text(price), event);
        event.setStock(row.text(stock), decimal);
        const word = row.text(availability).replaceAll('_', ' ').toLowerCase();
        if (outOfStockIsZero && event.stock === '' && word === 'out of stock') event.stock = '0';
      },
    };
  },
};
