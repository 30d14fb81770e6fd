/** Tables of German spreadsheets and ERPs: comma for decimals, their usual column names. Pure. */
import type { Columns, TablePreset } from '../table-preset.ts';

const ID = [
  'Artikelnummer',
  'Artikelnr',
  'Artikelnr.',
  'Artikel-Nr.',
  'Art.-Nr.',
  'SKU',
  'EAN',
  'GTIN',
];
const PRICE = ['Preis', 'VK', 'VK-Preis', 'Verkaufspreis', 'Bruttopreis', 'VK brutto'];
const STOCK = ['Bestand', 'Menge', 'Lager', 'Lagerbestand', 'Verfügbar'];

export const EXCEL_DE: TablePreset = {
  name: 'excel-de',
  decimal: ',',
  recognises: (columns: Columns) =>
    columns.find(...ID) >= 0 && (columns.find(...PRICE) >= 0 || columns.find(...STOCK) >= 0),
  open: (columns, { decimal }) => {
    const [id, price, stock] = [ID, PRICE, STOCK].map((names) => columns.find(...names));
    return {
      read: (row, event) => {
        event.setId(row.text(id));
        event.setPrice(row.text(price).replace(/\s*(?:€|EUR)$/, ''), decimal);
        event.setStock(row.text(stock), decimal);
      },
    };
  },
};
