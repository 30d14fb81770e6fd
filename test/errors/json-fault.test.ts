/** The place where a text stops being JSON: JSON.parse and the scanner agree on which texts have one. */
import fc from 'fast-check';
import t from 'tap';
import { whereItFails } from '../../src/errors/json-fault.ts';

const VALID = 'The body is not valid JSON.';
const TOO_EARLY = 'The body is not valid JSON: it ends too early.';

function placeOf(text: string): number | undefined {
  const story = whereItFails(text);
  if (story === VALID) return undefined;
  if (story === TOO_EARLY) return text.length;
  return Number(/at character (\d+), counted from 0\.$/.exec(story)?.[1]);
}

function isJson(text: string): boolean {
  try {
    JSON.parse(text);
    return true;
  } catch {
    return false;
  }
}

t.test('names the first character that can not stand where it stands', (t) => {
  for (const [text, at] of [
    ['', 0],
    [' \n', 2],
    ['x', 0],
    ['{"a":1}x', 7],
    ['{"a":1,}', 7],
    ["{'a':1}", 1],
    ['{a:1}', 1],
    ['{"a" 1}', 5],
    ['{"a":1', 6],
    ['{"a":1]', 6],
    ['[1,]', 3],
    ['[1 2]', 3],
    ['[[]', 3],
    ['[}', 1],
    ['{]', 1],
    [']', 0],
    ['tru', 3],
    ['trux', 3],
    ['nulll', 4],
    ['-', 1],
    ['-x', 1],
    ['01', 1],
    ['1.', 2],
    ['1.x', 2],
    ['.5', 0],
    ['1e', 2],
    ['1e+', 3],
    ['1ex', 2],
    ['+1', 0],
    ['NaN', 0],
    ['"a', 2],
    ['"a\\', 3],
    ['"\\x"', 2],
    ['"\\u12g4"', 5],
    ['"\\u12', 5],
    ['"a\tb"', 2],
    ['1\u00a0', 1],
    ['\ufeff1', 0],
  ] as const) {
    t.equal(placeOf(text), at, JSON.stringify(text));
    t.notOk(isJson(text), JSON.stringify(text));
  }
  t.equal(placeOf(`${'['.repeat(200_000)}x`), 200_000, 'however deep');
  t.end();
});

t.test('finds a fault in exactly the texts that JSON.parse refuses', (t) => {
  const odd = fc.constantFrom(...'{}[],:"\\0-.eEu+tfn \t\n\u0001\u00a0é', '\u2028', '');
  const cut = fc.record({ text: fc.json(), at: fc.nat(), drop: fc.nat(2), put: odd });
  fc.assert(
    fc.property(cut, ({ text, at, drop, put }) => {
      const place = at % (text.length + 1);
      const changed = text.slice(0, place) + put + text.slice(place + drop);
      const found = placeOf(changed);
      if (isJson(changed)) return found === undefined;
      // What stands before the change is the beginning of a JSON text.
      return found !== undefined && found <= changed.length && found >= place - 1;
    }),
    { numRuns: 5000 },
  );
  fc.assert(
    fc.property(fc.array(odd, { maxLength: 12 }), (parts) => {
      const text = parts.join('');
      return isJson(text) === (placeOf(text) === undefined);
    }),
    { numRuns: 20_000 },
  );
  t.end();
});
