/**
 * Prior prices of many products, beside their present states. Main thread.
 *
 * `complete` says that nothing is known to be missing: the history reaches back far enough, and has every
 * event by which the product became what the store shows at the moment of the question.
 */
import type { PriorPriceRule } from '../../history/prior-price.ts';
import { isListed, type ProductRepository } from '../../store/product-repository.ts';
import type { History } from '../seams/history.ts';
import { priorPriceJson } from './history-json.ts';

/** A listed product, as the store has it now. */
export interface Present {
  readonly id: string;
  readonly price: number;
  readonly seq: number;
}

/** What the store has of `id`; `busy`: ask again on a later turn. */
export function presentOf(products: ProductRepository, id: string): Present | 'busy' | undefined {
  const result = products.read(id);
  if (result === 'busy') return result;
  const { state } = products;
  if (result === 'missing' || !isListed(state)) return undefined;
  return { id, price: state.price, seq: state.seq };
}

/** The JSON of each of `present`, in their order. */
export async function priorPrices(
  history: History,
  present: readonly Present[],
  rule: PriorPriceRule,
): Promise<string[]> {
  const ids = present.map(({ id }) => id);
  const { place, found } = await history.ask({ kind: 'prior', ids, rule });
  return present.map(({ id, price, seq }, i) => {
    const prior = found[i];
    if (prior !== undefined)
      return priorPriceJson(prior, prior.isWhole && prior.version >= seq, place);
    const known = Number.isNaN(price) ? null : price;
    return priorPriceJson({ id, price: known, reduction: undefined }, false, place);
  });
}
