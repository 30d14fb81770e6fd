/** What may be a product id, at the edges. */
import t from 'tap';
import { isProductId, productIdFaults } from '../../src/event/product-id.ts';

t.test('accepts 1–64 bytes of any text without controls', async (t) => {
  for (const id of [
    'a',
    'x'.repeat(64),
    'ä'.repeat(32),
    '€'.repeat(21),
    '😀'.repeat(16),
    ' ',
    '...',
    '.a',
    '..%2f',
    '%2e',
    '%2E%2e',
    '. ',
    'a/b',
    '__proto__',
    '\u00a0',
    '\u2028',
    '~',
  ]) {
    t.ok(isProductId(id), encodeURIComponent(id));
    t.strictSame(productIdFaults(id), [], encodeURIComponent(id));
  }
});

t.test('refuses empty, too long, control characters and lone surrogates', async (t) => {
  const cases: [string, RegExp[]][] = [
    ['', [/empty/]],
    ['x'.repeat(65), [/longer than 64 bytes/]],
    ['ä'.repeat(33), [/longer than 64 bytes/]],
    ['😀'.repeat(17), [/longer than 64 bytes/]],
    ['a\u0000', [/control/]],
    ['\u001f', [/control/]],
    ['a\u007fb', [/control/]],
    ['\u0080', [/control/]],
    ['é\u009f', [/control/]],
    ['\ud800', [/surrogate/]],
    ['a\udc00b', [/surrogate/]],
    ['.', [/must not be \. or \.\./]],
    ['..', [/must not be \. or \.\./]],
    ['\udc00\ud800', [/surrogate/]],
    [`\n\ud800${'x'.repeat(64)}`, [/longer/, /control/, /surrogate/]],
  ];
  for (const [id, faults] of cases) {
    t.notOk(isProductId(id), JSON.stringify(id));
    t.match(productIdFaults(id), faults, JSON.stringify(id));
    t.equal(productIdFaults(id).length, faults.length, JSON.stringify(id));
  }
});
