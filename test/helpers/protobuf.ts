/** Decodes protocol buffers, field by field; the tests' own, so that it shares no fault with what writes them. */

/** Values of one message by field: numbers, bytes of texts, packed numbers and messages, or fixed 64 bits. */
export type Fields = Map<number, (number | bigint | Buffer)[]>;

const VARINT = 0;
const FIXED_64 = 1;
const DELIMITED = 2;
const FIXED_32 = 5;

export function fieldsOf(bytes: Buffer): Fields {
  const fields: Fields = new Map();
  const add = (field: number, value: number | bigint | Buffer) =>
    fields.set(field, [...(fields.get(field) ?? []), value]);
  for (let at = 0; at < bytes.length; ) {
    const [tag, after] = varintAt(bytes, at);
    const field = Math.floor(tag / 8);
    switch (tag % 8) {
      case VARINT: {
        const [value, next] = varintAt(bytes, after);
        add(field, value);
        at = next;
        break;
      }
      case FIXED_64:
        add(field, bytes.readBigUInt64LE(after));
        at = after + 8;
        break;
      case FIXED_32:
        add(field, bytes.readUInt32LE(after));
        at = after + 4;
        break;
      case DELIMITED: {
        const [length, next] = varintAt(bytes, after);
        const value = bytes.subarray(next, next + length);
        if (value.length < length) throw new Error('a field is cut');
        add(field, value);
        at = next + length;
        break;
      }
      default:
        throw new Error(`wire type ${tag % 8}`);
    }
  }
  return fields;
}

export function bytesIn(fields: Fields, field: number): Buffer[] {
  return (fields.get(field) ?? []).map((value) => {
    if (!Buffer.isBuffer(value)) throw new Error(`field ${field} is a number`);
    return value;
  });
}

/** 0 where it is not there. */
export function numberIn(fields: Fields, field: number): number {
  const value = fields.get(field)?.at(-1) ?? 0;
  if (typeof value !== 'number') throw new Error(`field ${field} is no number`);
  return value;
}

export function fixed64In(fields: Fields, field: number): bigint {
  const value = fields.get(field)?.at(-1) ?? 0n;
  if (typeof value !== 'bigint') throw new Error(`field ${field} is no fixed64`);
  return value;
}

/** Packed or not, as a reader must take both. */
export function packedIn(fields: Fields, field: number): number[] {
  return (fields.get(field) ?? []).flatMap((value) => {
    if (typeof value === 'number') return [value];
    if (typeof value === 'bigint') throw new Error(`field ${field} is fixed64`);
    const numbers: number[] = [];
    for (let at = 0; at < value.length; ) {
      const [number, next] = varintAt(value, at);
      numbers.push(number);
      at = next;
    }
    return numbers;
  });
}

function varintAt(bytes: Buffer, from: number): [value: number, next: number] {
  let value = 0;
  for (let at = from, factor = 1; at < bytes.length; at++, factor *= 128) {
    const byte = bytes[at] ?? 0;
    value += (byte % 128) * factor;
    if (byte < 128) return [value, at + 1];
  }
  throw new Error('a number is cut');
}
