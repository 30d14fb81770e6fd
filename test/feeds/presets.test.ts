/** Every preset on its sample in docs/feeds: what it is taken for, what becomes of each row, and why. */
import { readFileSync } from 'node:fs';
import t from 'tap';
import type { FeedOptions } from '../../src/feeds/open-feed.ts';
import { converted } from './feed-helper.ts';

const sample = (name: string) => readFileSync(new URL(`../../docs/feeds/${name}`, import.meta.url));
const event = (product_id: string, price?: number, stock?: number) => ({
  product_id,
  ...(price === undefined ? {} : { price }),
  ...(stock === undefined ? {} : { stock }),
  ...(price === undefined || stock === undefined ? { partial: true } : {}),
});

interface Case {
  readonly file: string;
  readonly preset: string;
  readonly events: readonly object[];
  readonly refused?: readonly [number, RegExp][];
  readonly skipped?: Readonly<Record<string, number>>;
  readonly options?: Partial<FeedOptions>;
}

const CASES: readonly Case[] = [
  {
    file: 'shopify-inventory.csv',
    preset: 'shopify-inventory',
    options: { location: 'Berlin' },
    events: [
      event('MUG-BLUE', undefined, 12),
      event('0004711', undefined, 7),
      event('cap/L', undefined, 3),
    ],
    skipped: { 'other location': 2 },
  },
  {
    file: 'shopify-inventory.csv',
    preset: 'shopify-inventory',
    options: { location: '*' },
    events: [
      event('MUG-BLUE', undefined, 12),
      event('0004711', undefined, 11),
      event('cap/L', undefined, 3),
    ],
    skipped: { 'added to other rows': 3 },
  },
  {
    file: 'shopify-inventory.csv',
    preset: 'shopify-inventory',
    events: [
      event('MUG-BLUE', undefined, 12),
      event('0004711', undefined, 7),
      event('cap/L', undefined, 3),
    ],
    refused: [
      [3, /^there are several locations, "Berlin" and "Hamburg": choose one with --location/],
      [5, /^there are several locations/],
    ],
  },
  {
    file: 'shopify-products.csv',
    preset: 'shopify-products',
    events: [event('MUG-BLUE', 9.9, 12), event('CAP-L', 19)],
    skipped: { 'row without a SKU': 1 },
  },
  {
    file: 'google-merchant.tsv',
    preset: 'google-merchant',
    events: [event('0012345', 12.5), event('CAP-L', 15), event('CAP-M', 20)],
    refused: [[5, /^the price is in USD, not in EUR$/]],
  },
  {
    file: 'google-merchant.tsv',
    preset: 'google-merchant',
    options: { outOfStockIsZero: true, currency: 'EUR' },
    events: [event('0012345', 12.5), event('CAP-L', 15), event('CAP-M', 20, 0)],
    refused: [[5, /^the price is in USD, not in EUR$/]],
  },
  {
    file: 'amazon-offers.tsv',
    preset: 'amazon-offers',
    events: [event('MUG-BLUE', 9.9, 12), event('CAP-L', 19)],
    refused: [[5, /^the price is 0$/]],
    skipped: { 'to be deleted: product-service put SKU --delete does that': 1 },
  },
  {
    file: 'woocommerce.csv',
    preset: 'woocommerce',
    events: [
      event('MUG-BLUE', 9.9, 12),
      event('MUG-RED', 9.9, -5),
      event('CAP', undefined, 8),
      event('CAP-L', 15, 8),
      event('id:14', 3),
    ],
  },
  {
    file: 'magento2.csv',
    preset: 'magento2',
    events: [
      event('MUG-BLUE', 9.9, 12),
      event('CAP-L', 15, 5),
      event('CAP-SET', 40),
      event('GIFT', 25),
    ],
    refused: [[7, /^the stock "2.5000" is no whole number/]],
    skipped: { 'row of a store view': 1 },
  },
  {
    file: 'magento2.csv',
    preset: 'magento2',
    options: { storeView: 'de' },
    events: [
      event('MUG-BLUE', 9.9, 12),
      event('MUG-BLUE', 10.5),
      event('CAP-L', 15, 5),
      event('CAP-SET', 40),
      event('GIFT', 25),
    ],
    refused: [[7, /^the stock "2.5000" is no whole number/]],
  },
  {
    file: 'excel-de.csv',
    preset: 'excel-de',
    events: [event('0012345', 1234.5, 12), event('4006381333931', 0.99, 1200), event('A-3', 9.9)],
    refused: [[6, /^the id "4,00638E\+12" went through Excel/]],
  },
];

for (const { file, preset, options = {}, events, refused = [], skipped = {} } of CASES) {
  t.test(`${file} ${JSON.stringify(options)}`, (t) => {
    const found = converted(sample(file), options);
    t.match(found.what, `(${preset}, by its header; `);
    t.strictSame(found.events, events);
    t.equal(found.refused.length, refused.length);
    for (const [i, [line, reason]] of refused.entries()) {
      t.match(found.refused[i], { line, reason });
    }
    t.strictSame(found.skipped, skipped);
    const lines = sample(file).toString('latin1').split(/\r?\n/);
    for (const { line, record } of found.refused) t.equal(record, lines[line - 1], 'as it stands');
    t.strictSame(converted(sample(file), { ...options, preset }).events, events, 'asked for');
    t.strictSame(converted(sample(file), options, 7).bodies, found.bodies, 'read in small pieces');
    t.end();
  });
}

t.test('old Shopify inventories have a column for each location', (t) => {
  const head = 'Handle,Title,SKU,HS Code,COO,Berlin,Hamburg\n';
  const rows = `${head}mug,Mug,M1,,,3,not stocked\ncap,Cap,C1,,,Not Stocked,4\n`;
  t.throws(() => converted(rows), /choose a location with --location: Berlin, Hamburg/);
  t.strictSame(converted(rows, { location: 'Hamburg' }).events, [event('C1', undefined, 4)]);
  t.strictSame(converted(rows, { location: '*' }).events, [
    event('M1', undefined, 3),
    event('C1', undefined, 4),
  ]);
  t.end();
});

t.test('rows of a SKU that come back later are not added up', (t) => {
  const head = 'Handle,SKU,Location,On hand\n';
  const { events, refused } = converted(`${head}a,A,x,1\na,A,y,2\nb,B,x,5\na,A,z,7\n`, {
    location: '*',
  });
  t.strictSame(events, [event('A', undefined, 3), event('B', undefined, 5)]);
  t.match(refused, [{ line: 5, reason: /do not stand together/ }]);
  t.end();
});

t.test('any table by --map, and what makes a feed unreadable', (t) => {
  const map = { product_id: 'Nr', price: 'VK', stock: 'Bestand' };
  const table = 'Nr|VK|Bestand|occurred_at\nA|1.234|5|2026-01-01T00:00:00Z\n';
  t.throws(() => converted(table), /no preset knows the header, say --map/);
  t.throws(() => converted(table, { map }), /1\.234 may be a decimal or in thousands/);
  t.strictSame(converted(table, { map, decimal: ',' }).events, [event('A', 1234, 5)]);
  t.strictSame(converted(table, { map, decimal: '.', occurredAt: '2026-02-02T00:00:00Z' }).events, [
    { ...event('A', 1.234, 5), occurred_at: '2026-02-02T00:00:00Z' },
  ]);
  t.strictSame(
    converted(table, { map: { ...map, occurred_at: 'occurred_at' }, decimal: ',' }).events,
    [{ ...event('A', 1234, 5), occurred_at: '2026-01-01T00:00:00Z' }],
  );
  t.strictSame(converted(`${table}B|7,5|1|\n`, { map }).events, [
    event('A', 1234, 5),
    event('B', 7.5, 1),
  ]);
  t.throws(
    () => converted(`${table}B|7,5|1|\nC|7.5|1|\n`, { map }),
    /written both ways, 7\.5 and 7,5/,
  );
  t.throws(() => converted(table, { map: { ...map, price: 'EK' } }), /no such column: Nr, VK/);
  t.throws(
    () => converted('sku,price,Price\n'),
    /names the column price twice|names the column Price twice/i,
  );
  t.throws(() => converted('', {}), /it is empty/);
  t.end();
});

t.test('text in windows-1252 is no latin1, and UTF-8 is not guessed to be it', (t) => {
  const bytes = Buffer.from('sku;price\nT\x80;1\n', 'latin1');
  t.strictSame(converted(bytes).events, [event('T€', 1)]);
  t.strictSame(converted('sku;price\nT€;1\n').events, [event('T€', 1)]);
  const forced = converted(bytes, { encoding: 'utf-8' });
  t.strictSame(forced.events, []);
  t.match(forced.refused, [{ line: 2, reason: /it is no UTF-8: say --encoding windows-1252/ }]);
  t.end();
});

t.test('empty is no news, ids are text, and zeros alone are no id', (t) => {
  const rows = ['0012345,1,', '1E5,,2', '000,1,1', ' x ,1,2', ',1,1', 'y,,', '1.5E+12,1,1'];
  const { events, skipped, refused } = converted(`sku,price,stock\n${rows.join('\r')}\r\n`);
  t.strictSame(events, [event('0012345', 1), event('1E5', undefined, 2), event('x', 1, 2)]);
  t.strictSame(skipped, { 'row without an id': 2, 'row without price and stock': 1 });
  t.match(refused, [{ line: 8, reason: /went through Excel/, record: '1.5E+12,1,1' }]);
  t.end();
});

t.test('a quote that is never closed costs one line', (t) => {
  const { events, refused } = converted('sku,price\na,1\nb,"2\nc,3\nd,"4"x\ne,5\n');
  t.strictSame(events, [event('a', 1), event('c', 3), event('e', 5)]);
  t.match(refused, [
    { line: 3, reason: 'a quote is never closed, or stands at the wrong place', record: 'b,"2' },
    { line: 5, reason: 'text stands behind a closing quote', record: 'd,"4"x' },
  ]);
  t.end();
});
