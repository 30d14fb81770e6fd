/**
 * Cases of JSON parsing, each put into the line of an event, in the manner of the well-known parser
 * test suites but written for this project: `y` must be taken, `n` must be refused. What stands in
 * the case is the whole line, or a value put in the place of a member. Tests only; data.
 */
import { Buffer } from 'node:buffer';

export interface CorpusCase {
  readonly name: string;
  readonly verdict: 'y' | 'n';
  readonly line: Buffer;
}

/** A line with `value` as its price, stock, occurred_at or product_id. */
const price = (value: string) => `{"product_id":"p","price":${value},"stock":1}`;
const stock = (value: string) => `{"product_id":"p","price":1,"stock":${value}}`;
const time = (value: string) => `{"product_id":"p","price":1,"stock":1,"occurred_at":${value}}`;
const id = (value: string) => `{"product_id":${value},"price":1,"stock":1}`;
const eventId = (value: string) => `{"product_id":"p","price":1,"stock":1,"event_id":${value}}`;
const partial = (value: string) => `{"product_id":"p","price":1,"stock":1,"partial":${value}}`;
const whole = (line: string) => line;

function cases(
  verdict: 'y' | 'n',
  name: string,
  put: (value: string) => string,
  values: readonly (string | Buffer)[],
): CorpusCase[] {
  return values.map((value, i) => {
    const text = typeof value === 'string' ? value : value.toString('latin1');
    const line = put(text);
    const bytes = typeof value === 'string' ? Buffer.from(line) : Buffer.from(line, 'latin1');
    return {
      name: `${verdict} ${name} ${i}: ${text.replaceAll(/[^ -~]/gu, '?').slice(0, 60)}`,
      verdict,
      line: bytes,
    };
  });
}

/** Quoted bytes that no string literal can hold. */
const raw = (...bytes: number[]) => Buffer.from([0x22, ...bytes, 0x22]);
const nines = (count: number) => '9'.repeat(count);

// biome-ignore format: one value a line would take pages
export const CORPUS: readonly CorpusCase[] = [
  ...cases('y', 'number', price, [
    '0', '-0', '-0.0', '0.0', '0.0000', `0.${'0'.repeat(400)}`, '0e0', '0e+0', '0E-0', '0e999', '-0e-999', '1', '1.0', '1e0', '1E0', '1E+0',
    '1e-0', '0.1', '0.10', '0.3', '0.30000000000000004', '49.99', '1.005', '2.675', '123456789.123456',
    '123456789012345', '1234567890123456', '12345678901234568', '9007199254740991', '9007199254740992',
    '49.990000000000002', '49.9900000000000000000', '100000000000.01562', '100000000000.01563',
    '0.1000000000000000055511151231257827021181583404541015625', '0.000001', '1e-7', '1e22', '1e23',
    '8.5e22', '1e-22', '1e-23', '5e-324', '0.00000000000000000e-5',
    '2.2250738585072014e-308', '1.7976931348623157e308', '179769313486231570000e288', '0.1e1', '100e-2', '1.5e+10', '1.5E10',
    `0.${'0'.repeat(40)}1`, `1${'0'.repeat(40)}`, `1.${'0'.repeat(400)}`, nines(15), '4.35', '0.5', '7.0e-10', '4503599627370495.5',
    '3.51843720888320078125e13', '0.000000000000001', '999999999999999', '99999999999999.9',
    '9999999999999.99', '0.99999999999999', '0.999999999999999', '0.9999999999999999',
  ]),
  ...cases('n', 'inexact', price, [
    '9007199254740993', '9007199254740995', '9999999999999999.01', '99999999999999999', '12345678901234567', '1e-400',
    '2.4703282292062327e-324', '2.4703282292062328e-324', '1.7976931348623158e308', `0.${nines(30)}`, nines(17), nines(300),
    '0.1000000000000000055511151231257827021181583404541015626', '49.99000000000000001', '9999999999999999', '2.2250738585072011e-308',
    '6929495644600919.5', '3.518437208883201171875e13',
    '0.30000000000000001', '1.00000000000000001', '9007199254740993e0', '9007199254740993.0', '90071992547409930e-1',
    '-0.00000000000000001e-400', `1${'0'.repeat(70000)}1`.slice(0, 60000), `0.${'0'.repeat(500)}1`,
  ]),
  ...cases('n', 'number', price, [
    '', '+1', '01', '-01', '00', '1.', '.5', '-.5', '-', '-a', '1e', '1e+', '1E-', '1e1.5', '1.2.3', '0x10',
    '1_000', '1,000', 'NaN', 'Infinity', '-Infinity', 'inf', '1e400', '-1', '-1e-300', '1 2', '1a',
    '１', '1e+-1', '--1', '0.1.', '1f', "'1'", '"1"', 'null', 'true', '[1]', '{}', '1/2', '1//', '/**/1',
  ]),
  ...cases('y', 'integer', stock, [
    '0', '-0', '1', '10', '1.0', '1.000', '1e3', '1.5e1', '10e-1', '9007199254740991', '2147483647',
    '2147483648', '4294967296', '900719925474099e1', '9007199254740990.0', '1.00000000000000000000',
  ]),
  ...cases('n', 'integer', stock, [
    '0.5', '1.5', '-1', '9007199254740992', '9007199254740993', '1e16', '1e400', '1e-1', '"1"', 'null', '007', '1e-400', '1.00000000000000001', '9007199254740990.5',
  ]),
  ...cases('y', 'string', id, [
    '"a"', '" "', '"a b"', '"{}"', '"[]"', '":,"', '"/"', '"\\/"', '"\\""', '"\\\\"', '"\\u0061"',
    '"\\u00e9"', '"é"', '"€"', '"😀"', '"\\ud83d\\ude00"', '"\\uD83D\\uDE00"', '"\\u20ac"', '"~"', "\"'\"",
    '"\u2028"', '"\u00a0"', '"\ufeff"', '"\uffff"', '"\u{10ffff}"', '"product_id"', '"..."', '".a"', '"a."', '"%2e"', '"%2E%2e"', '"./"', `"${'x'.repeat(64)}"`,
    `"${'x'.repeat(63)}"`, `"${'x'.repeat(60)}"`, `"${'é'.repeat(32)}"`, `"${'\\u0078'.repeat(64)}"`, '"</script>"',
  ]),
  ...cases('n', 'string', id, [
    '""', '"', '"a', 'a"', 'a', "'a'", '"\\"', '"\\a"', '"\\x41"', '"\\u"', '"\\u004"', '"\\u00g1"', '"\\U0041"',
    '"\t"', '"\u0000"', '"\u001f"', '"\u007f"', '"\u0085"', '"\\u0000"', '"\\n"', '"\\t"', '"\\b"', '"\\f"',
    '"\\r"', '"\\u009f"', '"\\ud800"', '"\\udc00"', '"\\ude00\\ud83d"', '"\\ud83d\\u0041"',
    `"${'x'.repeat(65)}"`, `"${'é'.repeat(33)}"`, `"${'\\u0078'.repeat(65)}"`, '"a""b"', '"a" "b"', '""a"',
    'null', '1', 'true', '["a"]', '{"a":1}', '“a”', '"."', '".."', '"\\u002e"', '".\\u002e"',
  ]),
  ...cases('n', 'encoding', id, [
    raw(0xff), raw(0x80), raw(0xc0, 0x80), raw(0xc3), raw(0xe2, 0x82), raw(0xed, 0xa0, 0x80), raw(0xf0, 0x9f, 0x98),
    raw(0xf4, 0x90, 0x80, 0x80), raw(0xf8, 0x88, 0x80, 0x80, 0x80), raw(0x61, 0xfe, 0x62), raw(0xe9),
  ]),
  ...cases('y', 'time', time, [
    '0', '-0', '1', '1700000000000', '1.7e12', '1700000000000.0', '-1', '-62167219200000', '"1970-01-01T00:00:00Z"',
    '"2010-12-01T08:26:00Z"', '"2010-12-01T08:26:00.001Z"', '"2010-12-01T08:26:00.1Z"',
    '"2010-12-01T08:26:00.123456789Z"', '"2010-12-01T08:26:00.1234567890123Z"',
    '"2010-12-01T08:26:00+00:00"', '"2010-12-01T08:26:00-00:00"', '"2010-12-01T23:59:59+23:59"',
    '"2010-12-01t08:26:00z"', '"2024-02-29T00:00:00Z"', '"2000-02-29T00:00:00Z"', '"1969-12-31T23:59:59.999Z"',
    '"1970-01-01T00:00:00+05:30"', '"0001-01-01T00:00:00Z"', '"1900-02-28T00:00:00Z"',
    '"2016-12-31T23:59:60Z"', '"2017-01-01T08:59:60+09:00"', '"2010-12-01T08:26:0\\u0030Z"',
    '"2010-12-01 08:26:00Z"', '"2010-12-01 08:26:00.5+01:00"', '"2010-12-01T08:26:00.000900Z"',
    '"1969-12-31T23:59:59.999999Z"', '"1600-01-01T00:00:00.000001Z"', '"1691-04-08T00:00:00.000001Z"',
    '99999999', '10000000000', '100000000000', '1000000000000',
  ]),
  ...cases('n', 'time', time, [
    '""', '"now"', '"2010-12-01"', '"2010-12-01T08:26Z"', '"2010-12-01T08:26:00"',
    '"2010-12-01T08:26:00.Z"', '"2010-13-01T08:26:00Z"', '"2010-00-01T08:26:00Z"', '"2010-02-29T00:00:00Z"',
    '"1900-02-29T00:00:00Z"', '"2100-02-29T00:00:00Z"', '"2010-04-31T00:00:00Z"', '"2010-12-00T08:26:00Z"',
    '"2010-12-32T08:26:00Z"', '"2010-12-01T24:00:00Z"', '"2010-12-01T08:60:00Z"', '"2010-12-01T08:26:61Z"',
    '"2010-12-01T08:26:60Z"', '"2010-12-01T08:26:00+24:00"', '"2010-12-01T08:26:00+00:60"',
    '"2010-12-01T08:26:00+0000"', '"2010-12-01T08:26:00+00"', '"2010-12-01T08:26:00ZZ"', '" 2010-12-01T08:26:00Z"',
    '"2010-12-01T08:26:00Z "', '"20l0-12-01T08:26:00Z"', '"2010/12/01T08:26:00Z"', '"2010-12-01T08.26.00Z"',
    '"９９９９-12-01T08:26:00Z"', '"9999-12-31T23:59:59Z"', '"+2010-12-01T08:26:00Z"', '1.5', '9007199254740993', '1700000000000.00001',
    '99999999999999999999', '1e300', '1e400', '-62167219200001', 'null', 'true', '{}', '"1700000000000"',
    '100000000', '1709294400', '1709294400.0', '1.7092944e9', '9999999999', '1709294400.123', '1709294400123456',
    '1709294400123456789', '"1709294400"', '"2010-12-01  08:26:00Z"', '"2010-12-01_08:26:00Z"',
    '"2010-12-01 08:26:00 +01:00"', '"2010-12-01 08:26:00 UTC"', '"2010-12-01T08:26:00,5Z"',
    '"0000-01-01T00:00:00+00:01"', '"2010-12-01T08:26:60+09:00"', '"10000-01-01T00:00:00Z"',
  ]),
  ...cases('y', 'flag', partial, ['true', 'false', ' true', 'false ']),
  ...cases('n', 'flag', partial, [
    '', 't', 'tru', 'truee', 'True', 'TRUE', 'fals', '"true"', '1', '0', 'null',
  ]),
  ...cases('y', 'event id', eventId, ['"e"', `"${'x'.repeat(128)}"`, '"é"', '"\\u0065"', '"a b"']),
  ...cases('n', 'event id', eventId, [
    '""', `"${'x'.repeat(129)}"`, `"${'é'.repeat(65)}"`, '1', 'null', '"\\ud800"',
  ]),
  ...cases('y', 'structure', whole, [
    '{"product_id":"p","price":1,"stock":1}', ' {"product_id":"p","price":1,"stock":1}',
    '\t{ "product_id" : "p" ,\t"price" : 1 , "stock" : 1 }\t', '{"stock":1,"price":1,"product_id":"p"}',
    '{"product_id":"p","price":1,"stock":1}\r', '\r{"product_id":"p",\r"price":1,"stock":1}',
    '{"pr\\u006fduct_id":"p","price":1,"stock":1}',
    '{"product_id":"p","price":1,"partial":true}', '{"product_id":"p","stock":1,"partial":true}',
    '{"partial":true,"price":1,"product_id":"p"}', '{"product_id":"p","price":1,"stock":1,"partial":true}',
    '{"occurred_at":1,"product_id":"p","price":1,"stock":1}',
  ]),
  ...cases('n', 'doubled', whole, [
    '{"product_id":"q","product_id":"p","price":1,"stock":1}', '{"product_id":"p","price":-1,"price":1,"stock":1}',
    '{"product_id":"p","price":1,"stock":1,"stock":2}', '{"product_id":"p","price":1,"stock":1,"stock":1}',
    '{"product_id":"p","price":1,"pr\\u0069ce":1,"stock":1}', '{"product_id":"p","price":1,"stock":1,"\\u0073tock":2}',
    '{"product_id":"p","price":1,"stock":1,"occurred_at":1,"occurred_at":2}',
    '{"product_id":"p","price":1,"stock":1,"event_id":"a:b","event_id":"c,d"}', '{"product_id":"p:","price":"x","price":1,"stock":1}',
    '{"product_id":"p","price":1,"partial":false,"partial":true}', '{"product_id":"p","price":1e0,"stock":[1,2],"stock":1}',
    '{"product_id":"p","price":{"price":1},"price":1,"stock":1}', '{"product_id":"p","price":1,"stock":1,"x":1,"x":1}',
  ]),
  ...cases('n', 'structure', whole, [
    '{', '}', '{}', '[]', 'null', '1', '"x"', 'true', '{{}}', '[{}]', '{"product_id":"p","price":1,"stock":1',
    '{"product_id":"p","price":1,"stock":1,}', '{"product_id":"p",,"price":1,"stock":1}',
    '{,"product_id":"p","price":1,"stock":1}', '{"product_id":"p" "price":1,"stock":1}',
    '{"product_id":"p","price":1,"stock":1}}', '{"product_id":"p","price":1,"stock":1}{}',
    '{"product_id":"p","price":1,"stock":1},', '{"product_id":"p","price":1,"stock":1} x',
    '{"product_id":"p","price":1,"stock":1}\u0000', '\u0000{"product_id":"p","price":1,"stock":1}',
    '\ufeff{"product_id":"p","price":1,"stock":1}', '{"product_id":"p";"price":1;"stock":1}',
    '{"product_id"="p","price":1,"stock":1}', '{product_id:"p","price":1,"stock":1}',
    "{'product_id':'p','price':1,'stock':1}", '{"product_id":"p","price":1,"stock":1,"x":1}',
    '{"product_id":"p","price":1,"stock":1,"__proto__":{}}', '{"product_id":"p","price":1,"stock":1,"":1}',
    '{"product_id":"p","price":1,"stock":1,"Price":1}', '{"product_id":"p","price":1,"stock":1,"price ":1}',
    '{"product_id":"p","price":1}', '{"product_id":"p","stock":1}', '{"price":1,"stock":1}',
    '{"product_id":"p","partial":true}', '{"product_id":"p","price":1,"partial":false}', '{"price":1,"partial":true}',
    '{"product_id":"p","price":1,"price":-1,"stock":1}', '{"product_id":"p","price":1,"partial":true,"partial":false}',
    '{"product_id":"p","price":1,"stock":1}\u000b', '{"product_id":"p","price":1,"stock":1}\u00a0',
    '{\u00a0"product_id":"p","price":1,"stock":1}', '{"product_id":"p","price":1,"stock":1 /* */}',
    '{"product_id" "p","price":1,"stock":1}', '{"product_id"::"p","price":1,"stock":1}', '{"product_id":"p":"price"}',
    '["product_id","p"]', `${'['.repeat(5000)}${']'.repeat(5000)}`, `${'{"a":'.repeat(2000)}1${'}'.repeat(2000)}`,
  ]),
];
