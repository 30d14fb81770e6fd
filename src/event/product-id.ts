/**
 * What a product id may be: 1–64 bytes of UTF-8, no control characters, no lone surrogates, and neither
 * `.` nor `..`: in a URL these are steps, written %2E too (WHATWG URL, RFC 3986 section 5.2.4), so that
 * browsers, fetch, requests and curl turn /products/.. into another path before they send it. All other
 * ids come through those unchanged, percent-encoded (test/http/ids-in-urls.test.ts). Main thread; pure.
 */
import { Buffer } from 'node:buffer';
import { ID_BYTES_MAX } from '../ring/slot.ts';
import { hasControl } from './control-characters.ts';

/** Whether `id` is valid. Short ASCII, the common case, takes one pass and no allocation. */
export function isProductId(id: string): boolean {
  const { length } = id;
  if (length === 0 || length > ID_BYTES_MAX) return false;
  for (let i = 0; i < length; i++) {
    const unit = id.charCodeAt(i);
    if (unit > 0x7e) return productIdFaults(id).length === 0;
    if (unit < 0x20) return false;
  }
  return !isDots(id);
}

/** Whether URLs take `id` for a step. */
function isDots(id: string): boolean {
  return id === '.' || id === '..';
}

/** Lists every rule that `id` breaks, one sentence each; empty for a valid id. */
export function productIdFaults(id: string): string[] {
  const faults: string[] = [];
  if (id.length === 0) faults.push('product_id must not be empty.');
  if (Buffer.byteLength(id) > ID_BYTES_MAX) {
    faults.push(`product_id must not be longer than ${ID_BYTES_MAX} bytes of UTF-8.`);
  }
  if (hasControl(id)) faults.push('product_id must not contain control characters.');
  if (!id.isWellFormed()) faults.push('product_id must not contain lone surrogates.');
  if (isDots(id)) {
    faults.push('product_id must not be . or .., which URLs can not carry.');
  }
  return faults;
}
