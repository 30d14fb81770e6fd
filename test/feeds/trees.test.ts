/** BMEcat and EDIFACT: the samples in docs/feeds, and the traps of their formats. */
import { readFileSync } from 'node:fs';
import t from 'tap';
import { converted } from './feed-helper.ts';

const sample = (name: string) => readFileSync(new URL(`../../docs/feeds/${name}`, import.meta.url));
const CATALOGUE = sample('bmecat-prices.xml');
const PRICAT = sample('edifact-pricat.edi');
const INVRPT = sample('edifact-invrpt.edi');
const AT = '2026-01-15T08:30:00';

t.test('bmecat-prices.xml', (t) => {
  const { what, events, refused } = converted(CATALOGUE);
  t.match(what, 'a BMEcat catalogue (bmecat-prices), with its own time');
  const occurred_at = `${AT}.000Z`;
  const known = [
    { product_id: '0012345', price: 0.1, partial: true, occurred_at },
    { product_id: 'Mütter&Söhne', price: 3, partial: true, occurred_at },
  ];
  t.strictSame(events, known);
  t.match(refused, [
    { line: 33, reason: /does not say for how many units .*: say --price-quantity/ },
  ]);
  t.match(JSON.parse(refused[0].record), { product_id: '00123' }, 'CDATA is text');
  t.strictSame(converted(CATALOGUE, { priceQuantity: '10' }).events, [
    ...known,
    { product_id: '00123', price: 0.71, partial: true, occurred_at },
  ]);
  const asked = converted(CATALOGUE, {
    priceType: 'net_list',
    occurredAt: '2026-05-05T00:00:00Z',
    isTimeAsked: true,
    preset: 'bmecat-prices',
  });
  t.match(asked.events[0], { price: 0.15, occurred_at: '2026-05-05T00:00:00Z' });
  t.strictSame(converted(CATALOGUE, {}, 11).bodies, converted(CATALOGUE).bodies);
  t.end();
});

t.test('a BMEcat that is none, or not all of one', (t) => {
  const cut = CATALOGUE.subarray(0, CATALOGUE.length - 20);
  t.throws(() => converted(cut), /the XML ends before its root element does/);
  t.throws(() => converted('<html></html>'), /the root element is html, not BMECAT/);
  t.throws(() => converted('<BMECAT><a></b></BMECAT>'), /no valid XML: .*1:/);
  t.throws(() => converted('<?xml version="1.0" encoding="x-none"?><BMECAT/>'), /encoding x-none/);
  const latin = Buffer.from(
    '<?xml version="1.0" encoding="UTF-8"?><BMECAT>\xfc</BMECAT>',
    'latin1',
  );
  t.throws(() => converted(latin), /not in the encoding that it declares \(utf-8\)/);
  t.end();
});

t.test('a BMEcat 2005 price update, in windows-1252, with prices in two currencies', (t) => {
  const price = (currency: string) =>
    `<PRODUCT_PRICE price_type="net_customer"><PRICE_AMOUNT>2</PRICE_AMOUNT><PRICE_CURRENCY>${currency}</PRICE_CURRENCY></PRODUCT_PRICE>`;
  const xml = `<?xml version='1.0' encoding='windows-1252'?>
<BMECAT version="2005" xmlns="http://www.bmecat.org/bmecat/2005"><HEADER><CATALOG>
<GENERATION_DATE>2026-01-15T09:30:00+01:00</GENERATION_DATE></CATALOG></HEADER>
<T_UPDATE_PRICES prev_version="1"><PRODUCT><SUPPLIER_PID>T\x80</SUPPLIER_PID>
<PRODUCT_PRICE_DETAILS><VALID_START_DATE>2098-01-01</VALID_START_DATE>${price('EUR')}</PRODUCT_PRICE_DETAILS>
<PRODUCT_PRICE_DETAILS>${price('CHF')}${price('EUR')}</PRODUCT_PRICE_DETAILS></PRODUCT></T_UPDATE_PRICES></BMECAT>`;
  const bytes = Buffer.from(xml, 'latin1');
  t.match(converted(bytes, { priceQuantity: '1' }).refused, [{ reason: /say --currency/ }]);
  t.strictSame(converted(bytes, { priceQuantity: '1', currency: 'EUR' }).events, [
    { product_id: 'T€', price: 2, partial: true, occurred_at: `${AT}.000Z` },
  ]);
  t.end();
});

t.test('edifact-pricat.edi', (t) => {
  const { what, events, refused, skipped } = converted(PRICAT);
  t.match(what, 'an EDIFACT interchange');
  const occurred_at = `${AT}Z`;
  t.strictSame(events, [
    { product_id: '4006381333931', price: 0.125, partial: true, occurred_at },
    { product_id: "B'2", price: 0.99, partial: true, occurred_at },
  ]);
  t.match(refused, [{ line: 15, reason: /"10.00" for "3" is not an exact number/ }]);
  t.equal(Object.values(skipped)[0], 1, 'to be deleted');
  t.strictSame(converted(PRICAT, { preset: 'edifact-pricat' }, 5).events, events);
  t.throws(
    () => converted(PRICAT, { preset: 'edifact-invrpt' }),
    /has a message "PRICAT", not INVRPT/,
  );
  t.end();
});

t.test('edifact-invrpt.edi', (t) => {
  const { events, refused, skipped } = converted(INVRPT, { preset: 'edifact-invrpt' });
  const occurred_at = '2026-01-15T00:00:00Z';
  t.strictSame(events, [
    { product_id: '4006381333931', stock: 12, partial: true, occurred_at },
    { product_id: '4000000000006', stock: 12, partial: true, occurred_at },
  ]);
  t.match(refused, [{ reason: /^the stock "2\.5" is no whole number$/ }]);
  t.strictSame(skipped, { 'entry without price and stock': 1 });
  t.end();
});

t.test('an interchange that is not whole, and one with marks and characters of its own', (t) => {
  const cut = PRICAT.subarray(0, PRICAT.indexOf('UNZ'));
  t.throws(() => converted(cut), /ends before its UNZ/);
  t.throws(() => converted(Buffer.concat([PRICAT, Buffer.from('LIN+1')])), /stands behind the UNZ/);
  t.throws(() => converted("UNB+UNOA'UNH+1+ORDERS:D'UNZ+1'"), /has a message "ORDERS"/);
  t.throws(() => converted("UNB+UNOA'UNH+1+PRICAT:D'UNZ+1'"), /in the middle of a message/);
  const own = `UNA|*,# ~UNB*UNOW|4~UNH*1*PRICAT|D~LIN*1~PIA*1*ü#~#*|SA~PRI*AAA|1,5~UNT*1~UNZ*1~`;
  t.strictSame(converted(own).events, [{ product_id: 'ü~*', price: 1.5, partial: true }]);
  t.end();
});
