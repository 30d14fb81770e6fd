/** Round trips: products of every kind, written as each preset's shop would, come out of its feed as they were. */
import fc from 'fast-check';
import t from 'tap';
import type { FeedOptions } from '../../src/feeds/open-feed.ts';
import { converted } from './feed-helper.ts';

interface Product {
  readonly id: string;
  /** In hundredths. */
  readonly cents: number;
  readonly stock: number;
}

interface Shop {
  readonly preset: string;
  readonly fields: readonly ('price' | 'stock')[];
  readonly write: (products: readonly Product[]) => string;
  readonly options?: Partial<FeedOptions>;
}

const price = ({ cents }: Product) => (cents / 100).toFixed(2);
const grouped = (whole: string, mark: string) => whole.replaceAll(/\B(?=(?:\d{3})+$)/g, mark);
const quoted = (text: string) => `"${text.replaceAll('"', '""')}"`;
const xml = (text: string) =>
  text.replaceAll('&', '&amp;').replaceAll('<', '&lt;').replaceAll('"', '&quot;');
const released = (text: string) => text.replaceAll(/[?+:']/g, '?$&');

function german(product: Product): string {
  const [whole = '', fraction = ''] = price(product).split('.');
  return `${grouped(whole, '.')},${fraction}`;
}

/** A table whose rows are made by `row`. */
const table =
  (header: string, lineEnd: string, row: (product: Product) => string) =>
  (products: readonly Product[]) =>
    [header, ...products.map(row), ''].join(lineEnd);

const SHOPS: readonly Shop[] = [
  {
    preset: 'shopify-inventory',
    fields: ['stock'],
    write: table(
      'Handle,Title,SKU,COO,Location,On hand (current),On hand (new)',
      '\n',
      (each) => `h,T,${quoted(each.id)},,Main,1,${each.stock}`,
    ),
  },
  {
    preset: 'shopify-products',
    fields: ['price', 'stock'],
    write: table(
      'Handle,Body (HTML),Variant SKU,Variant Price,Variant Inventory Qty',
      '\n',
      (each) => `h,"<p>\n""x"", y</p>",${quoted(each.id)},${price(each)},${each.stock}`,
    ),
  },
  {
    preset: 'google-merchant',
    fields: ['price', 'stock'],
    write: table(
      'id\ttitle\tavailability\tprice\tquantity',
      '\n',
      (each) => `${quoted(each.id)}\tT\tin_stock\t${price(each)} EUR\t${each.stock}`,
    ),
  },
  {
    preset: 'amazon-offers',
    fields: ['price', 'stock'],
    write: table(
      'seller-sku\tquantity\tprice\titem-name',
      '\r\n',
      (each) => `${quoted(each.id)}\t${each.stock}\t${price(each)}\tT`,
    ),
  },
  {
    preset: 'woocommerce',
    fields: ['price', 'stock'],
    write: table(
      '\ufeffID,Type,SKU,Stock,"Sale price","Regular price",Parent',
      '\n',
      (each) => `1,simple,${quoted(each.id)},${each.stock},,${price(each)},`,
    ),
  },
  {
    preset: 'magento2',
    fields: ['price', 'stock'],
    write: table(
      'sku,store_view_code,attribute_set_code,product_type,price,qty',
      '\n',
      (each) => `${quoted(each.id)},,Default,simple,${price(each)}00,${each.stock}.0000`,
    ),
  },
  {
    preset: 'excel-de',
    fields: ['price', 'stock'],
    write: table(
      'Artikelnummer;Preis;Bestand',
      '\r\n',
      (each) => `${quoted(each.id)};${german(each)};${grouped(String(each.stock), '.')}`,
    ),
  },
  {
    preset: 'bmecat-prices',
    fields: ['price'],
    options: { priceQuantity: '1' },
    write: (products) =>
      `<?xml version="1.0"?><BMECAT><T_UPDATE_PRICES>${products
        .map(
          (each) =>
            `<ARTICLE><SUPPLIER_AID>${xml(each.id)}</SUPPLIER_AID><ARTICLE_PRICE_DETAILS><ARTICLE_PRICE price_type="net_customer"><PRICE_AMOUNT>${price(each)}</PRICE_AMOUNT></ARTICLE_PRICE></ARTICLE_PRICE_DETAILS></ARTICLE>`,
        )
        .join('\n')}</T_UPDATE_PRICES></BMECAT>`,
  },
  {
    preset: 'edifact-pricat',
    fields: ['price'],
    write: (products) =>
      `UNB+UNOW:4'UNH+1+PRICAT:D:96A'${products
        .map((each) => `LIN+1'PIA+1+${released(each.id)}:SA'PRI+AAA:${price(each)}'`)
        .join('\r\n')}UNT+1+1'UNZ+1+1'`,
  },
  {
    preset: 'edifact-invrpt',
    fields: ['stock'],
    write: (products) =>
      `UNB+UNOW:4'UNH+1+INVRPT:D:96A'${products
        .map((each) => `LIN+1++${released(each.id)}:EN'QTY+145:${each.stock}'`)
        .join('')}UNT+1+1'UNZ+1+1'`,
  },
];

/** Ids as shops have them, and worse; without blanks at their ends, which no feed keeps. */
const id = fc
  .string({
    unit: fc.constantFrom(
      '0',
      '1',
      'A',
      'é',
      '€',
      '"',
      "'",
      ',',
      ';',
      '.',
      '+',
      ':',
      '?',
      '&',
      '<',
      ' ',
    ),
    minLength: 1,
    maxLength: 10,
  })
  .map((text) => `x${text}x`);
const products = fc.array(
  fc.record({
    id: fc.oneof(id, fc.constantFrom('0012345', '4006381333931', '1E5', '-5')),
    cents: fc.integer({ min: 1, max: 99_999_999 }),
    stock: fc.integer({ min: 0, max: 9_999_999 }),
  }),
  { minLength: 1, maxLength: 20 },
);

for (const { preset, fields, write, options = {} } of SHOPS) {
  t.test(preset, (t) => {
    fc.assert(
      fc.property(products, fc.integer({ min: 1, max: 400 }), (list, pieceBytes) => {
        const { events, refused, skipped } = converted(
          write(list),
          { preset, ...options },
          pieceBytes,
        );
        t.strictSame({ refused, skipped }, { refused: [], skipped: {} });
        t.strictSame(
          events,
          list.map((each) => ({
            product_id: each.id,
            ...(fields.includes('price') ? { price: each.cents / 100 } : {}),
            ...(fields.includes('stock') ? { stock: each.stock } : {}),
            ...(fields.length === 1 ? { partial: true } : {}),
          })),
        );
      }),
      { numRuns: 40 },
    );
    t.end();
  });
}
