/**
 * What a client knows of its products: every value it tried to write, which of them were
 * acknowledged, refused or left open by a broken connection. Judges the state found later.
 *
 * Attempt n of a product writes stock n and price n / 4, one after the other, so a state tells which
 * attempt it is of, and a state of two attempts shows.
 */
import type { EventBody, Product } from './api-client.ts';

interface Entry {
  attempts: number;
  /** The newest attempt that was acknowledged or seen, and its seq; 0 = none. */
  known: number;
  knownSeq: number;
  /** Attempts after it whose outcome nobody knows. */
  open: number[];
}

export class AckLedger {
  readonly #entries = new Map<string, Entry>();
  acknowledgements = 0;

  get ids(): string[] {
    return [...this.#entries.keys()];
  }

  /** The next event of a product; open until `acknowledged` or `refused` says otherwise. */
  attempt(id: string): EventBody {
    const entry = this.#entries.get(id) ?? { attempts: 0, known: 0, knownSeq: 0, open: [] };
    this.#entries.set(id, entry);
    const n = ++entry.attempts;
    entry.open.push(n);
    return { product_id: id, price: n / 4, stock: n };
  }

  acknowledged({ product_id: id, stock: n }: EventBody, seq: number): void {
    const entry = this.#entry(id);
    if (seq <= entry.knownSeq) throw new Error(`${id}: seq ${seq} after ${entry.knownSeq}`);
    this.#learn(entry, n, seq);
    this.acknowledgements++;
  }

  /** It was answered with an error, so it must never show. */
  refused({ product_id: id, stock: n }: EventBody): void {
    const entry = this.#entry(id);
    entry.open = entry.open.filter((open) => open !== n);
  }

  /** What is wrong with the state found, or `undefined`; what is right becomes known. */
  fault(id: string, found: Product | undefined): string | undefined {
    const entry = this.#entry(id);
    const says = `${id}: acknowledged ${entry.known} as seq ${entry.knownSeq}, found`;
    if (found === undefined) return entry.known === 0 ? undefined : `${says} nothing`;
    const { price, stock: n, seq } = found;
    const state = `${says} stock ${n}, price ${price}, seq ${seq}`;
    if (price !== n / 4) return `${state}: of two events`;
    if (n === entry.known) return seq === entry.knownSeq ? undefined : `${state}: another seq`;
    if (n < entry.known) return `${state}: an acknowledged event is lost`;
    if (!entry.open.includes(n)) return `${state}: a refused event was applied`;
    if (seq <= entry.knownSeq) return `${state}: seq went back`;
    this.#learn(entry, n, seq);
    return undefined;
  }

  #learn(entry: Entry, n: number, seq: number): void {
    entry.known = n;
    entry.knownSeq = seq;
    entry.open = entry.open.filter((open) => open > n);
  }

  #entry(id: string): Entry {
    const entry = this.#entries.get(id);
    if (entry === undefined) throw new Error(`${id} was never written`);
    return entry;
  }
}
