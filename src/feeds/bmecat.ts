/**
 * BMEcat 1.2 and 2005, whole catalogues and price updates: one price of each article. Of the prices of the
 * first type that is wanted and there, and that hold now, the one for the smallest quantity counts:
 * PRICE_AMOUNT × PRICE_FACTOR ÷ PRICE_QUANTITY. Where the catalogue doesn't say how many units a price is for,
 * the command line must. Main thread or any; saxes reads the XML.
 */
import { TextDecoder } from 'node:util';
import { type SaxesAttributeNS, type SaxesAttributePlain, SaxesParser } from 'saxes';
import { coversNow, dateMs } from './dates.ts';
import { FeedError } from './feed.ts';
import { asciiText } from './identifiers.ts';
import { product, quotient, readDecimal } from './numbers.ts';
import { StreamConverter } from './stream-converter.ts';

const PRICE_TYPES = ['net_customer', 'net_list'];
const TRANSACTION = /^T_/;

export interface BmecatOptions {
  readonly priceType: string | undefined;
  readonly priceQuantity: string | undefined;
  readonly currency: string | undefined;
  readonly nowMs: number;
  readonly occurredAt: string;
  /** `occurredAt` was asked for, so that it counts before the catalogue's own date. */
  readonly isTimeAsked: boolean;
}

interface Price {
  readonly type: string;
  readonly amount: string;
  readonly factor: string;
  readonly currency: string;
  readonly lowerBound: string;
}

interface Article {
  readonly line: number;
  id: string;
  /** `undefined` = the catalogue doesn't say. */
  quantity: string | undefined;
  prices: Price[];
}

export class BmecatConverter extends StreamConverter {
  readonly #options: BmecatOptions;
  readonly #parser = new SaxesParser();
  readonly #path: string[] = [];
  #decoder: TextDecoder | undefined;
  #text = '';
  #article: Article | undefined;
  #price: Record<string, string> = {};
  /** What a price's block says of its time. */
  #from = '';
  #to = '';
  #dateType = '';
  #date = '';
  #occurredAt: string;
  #isClosed = false;

  constructor(options: BmecatOptions) {
    super();
    this.#options = options;
    this.#occurredAt = options.occurredAt;
    this.#parser.on('error', (error) => {
      throw new FeedError(`it is no valid XML: ${error.message}`);
    });
    this.#parser.on('opentag', ({ name, attributes }) => this.#open(name, attributes));
    this.#parser.on('text', (text) => {
      this.#text += text;
    });
    this.#parser.on('cdata', (text) => {
      this.#text += text;
    });
    this.#parser.on('closetag', ({ name }) => this.#close(name));
  }

  protected override read(bytes: Buffer): void {
    this.#decoder ??= new TextDecoder(encodingOf(bytes), { fatal: true });
    try {
      this.#parser.write(this.#decoder.decode(bytes, { stream: true }));
    } catch (error) {
      if (error instanceof FeedError) throw error;
      throw new FeedError(`it is not in the encoding that it declares (${this.#decoder.encoding})`);
    }
  }

  protected override end(): void {
    if (!this.#isClosed) throw new FeedError('the XML ends before its root element does');
    this.#parser.close();
  }

  #open(
    name: string,
    attributes: Readonly<Record<string, string | SaxesAttributePlain | SaxesAttributeNS>>,
  ): void {
    if (this.#path.length === 0 && name !== 'BMECAT') {
      throw new FeedError(`the root element is ${name}, not BMECAT`);
    }
    this.#path.push(name);
    this.#text = '';
    const parent = this.#path.at(-2) ?? '';
    const isItem = (name === 'ARTICLE' || name === 'PRODUCT') && TRANSACTION.test(parent);
    if (isItem) {
      this.#article = { line: this.#parser.line, id: '', quantity: undefined, prices: [] };
    } else if (/^(?:ARTICLE|PRODUCT)_ORDER_DETAILS$/.test(name) && this.#article !== undefined) {
      this.#article.quantity ??= '1';
    } else if (/^(?:ARTICLE|PRODUCT)_PRICE_DETAILS$/.test(name)) {
      this.#from = '';
      this.#to = '';
    } else if (/^(?:ARTICLE|PRODUCT)_PRICE$/.test(name)) {
      this.#price = { type: String(attributes.price_type ?? '') };
    } else if (name === 'DATETIME') this.#dateType = String(attributes.type ?? '');
  }

  #close(name: string): void {
    const text = this.#text.trim();
    this.#text = '';
    this.#path.pop();
    if (this.#path.length === 0) this.#isClosed = true;
    const article = this.#article;
    if (name === 'DATE') this.#date = text;
    else if (name === 'TIME') this.#date += `T${text}`;
    else if (name === 'DATETIME') this.#dated(this.#dateType, this.#date);
    else if (/^(?:VALID_START|VALID_END|GENERATION)_DATE$/.test(name)) {
      this.#dated(name.toLowerCase(), text);
    }
    if (article === undefined) return;
    const parent = this.#path.at(-1) ?? '';
    if (/^SUPPLIER_[AP]ID$/.test(name) && /^(?:ARTICLE|PRODUCT)$/.test(parent)) article.id = text;
    else if (name === 'PRICE_QUANTITY') article.quantity = text;
    else if (/^(?:ARTICLE|PRODUCT)_PRICE$/.test(name)) this.#priced(article);
    else if (/^(?:ARTICLE|PRODUCT)_PRICE$/.test(parent)) this.#price[name] = text;
    else if ((name === 'ARTICLE' || name === 'PRODUCT') && TRANSACTION.test(parent)) {
      this.#article = undefined;
      this.#end(article);
    }
  }

  #dated(type: string, date: string): void {
    if (type === 'valid_start_date') this.#from = date;
    else if (type === 'valid_end_date') this.#to = date;
    else if (type === 'generation_date' && !this.#options.isTimeAsked) {
      const ms = dateMs(date);
      if (!Number.isNaN(ms)) this.#occurredAt = new Date(ms).toISOString();
    }
  }

  #priced(article: Article): void {
    if (coversNow(this.#from, this.#to, this.#options.nowMs) !== 'now') return;
    const { type = '', PRICE_AMOUNT: amount = '', PRICE_CURRENCY: currency = '' } = this.#price;
    const { PRICE_FACTOR: factor = '1', LOWER_BOUND: lowerBound = '1' } = this.#price;
    article.prices.push({ type, amount, factor, currency, lowerBound });
  }

  #end({ line, id, quantity, prices }: Article): void {
    const chosen = this.#chosen(prices);
    const common = { line, id, stock: '', occurredAt: this.#occurredAt };
    if (chosen === undefined) {
      this.found({
        ...common,
        price: '',
        fault: undefined,
        skip: 'no price of the type that holds now',
      });
      return;
    }
    const price = typeof chosen === 'string' ? chosen : this.#unitPrice(chosen, quantity);
    const isFault = typeof chosen === 'string' || !/^-?\d/.test(price);
    this.found({
      ...common,
      price: isFault ? '' : price,
      fault: isFault ? price : undefined,
      skip: undefined,
    });
  }

  /** The price that counts, or why it isn't known. */
  #chosen(prices: readonly Price[]): Price | string | undefined {
    const { priceType, currency } = this.#options;
    const wanted = priceType === undefined ? PRICE_TYPES : [priceType];
    const ofCurrency = prices.filter((each) => (currency ?? each.currency) === each.currency);
    const type = wanted.find((each) => ofCurrency.some((price) => price.type === each));
    const found = ofCurrency.filter((price) => price.type === type);
    if (found.length === 0) return undefined;
    const least = Math.min(...found.map(({ lowerBound }) => Number(lowerBound)));
    const [first, ...others] = found.filter(({ lowerBound }) => Number(lowerBound) === least);
    if (others.some((each) => each.currency !== first.currency)) {
      return 'it has prices in several currencies: say --currency';
    }
    const isSame = others.every(
      (each) => each.amount === first.amount && each.factor === first.factor,
    );
    return isSame ? first : 'it has several prices of one type, for regions perhaps';
  }

  /** The price of one unit, or why it isn't known. */
  #unitPrice({ amount, factor }: Price, quantity: string | undefined): string {
    const units = quantity ?? this.#options.priceQuantity;
    if (units === undefined) {
      return 'the catalogue does not say for how many units the price is: say --price-quantity';
    }
    const [a, f, u] = [amount, factor, units].map((text) => readDecimal(text, '.'));
    if (a === undefined || f === undefined || u === undefined) {
      return `the price ${asciiText(`${amount} x ${factor} / ${units}`)} is no number`;
    }
    return quotient(product(a, f), u) ?? `the price ${a} x ${f} / ${u} has too many places`;
  }
}

/** By byte order mark, else by the prolog, else UTF-8. */
function encodingOf(bytes: Buffer): string {
  if (bytes[0] === 0xef && bytes[1] === 0xbb) return 'utf-8';
  const prolog = bytes.toString('latin1', 0, 200);
  const name = /^\s*<\?xml[^>]*\bencoding\s*=\s*["']([\w.:-]+)["']/.exec(prolog)?.[1] ?? 'utf-8';
  try {
    // UTF-16 was turned into UTF-8 by its byte order mark.
    return /^utf-?16/i.test(name) ? 'utf-8' : new TextDecoder(name).encoding;
  } catch {
    throw new FeedError(`it declares the encoding ${name}, which nobody knows`);
  }
}
