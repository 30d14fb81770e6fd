/** Random values that a schema allows, and others that it mostly doesn't. Tests only; pure but for `random`. */
import { ODD_IDS } from '../helpers/models/odd-ids.ts';
import type { Random } from '../helpers/models/random.ts';
import { resolved, type Schema } from './api-operations.ts';

/** Few, so that requests meet: repeated keys, conditions that hold, reads of what was written. */
const PRODUCTS = Array.from({ length: 24 }, (_, i) => `fuzz-${i}`);
const KEYS = Array.from({ length: 40 }, (_, i) => `key-${i}`);
/** Texts that a pattern may ask for: those that it allows are taken. */
const PATTERNED = ['', '0', '17', '4711', '5ms', '0s', '20ms'];
const TIMES = [
  '2026-01-01T00:00:00Z',
  '2024-02-29T23:59:59.999999+01:00',
  '1969-12-31T23:59:59Z',
  '0001-01-01T00:00:00Z',
  1_700_000_000_000,
  0,
];
const ODD_TEXTS = [
  ...ODD_IDS,
  '',
  'a'.repeat(65),
  'é'.repeat(40),
  'x'.repeat(5000),
  '\u0000',
  '\ud800',
  '\u001f',
  'true',
  'NaN',
  '1e400',
  '2026-02-30T00:00:00Z',
  '99999999999999999999',
];
const ODD_VALUES = [
  null,
  true,
  false,
  -1,
  -0,
  0.1,
  1.5,
  1e308,
  5e-324,
  2 ** 53,
  9007199254740991,
  1_700_000_000,
  [],
  {},
  [[]],
  { a: { b: [null] } },
];

/** A value that `schema` allows, as far as a schema can say it. */
export function fittingValue(schema: Schema, random: Random): unknown {
  const it = resolved(schema);
  const { const: constant, enum: list, anyOf, oneOf } = it;
  if (constant !== undefined) return constant;
  if (list !== undefined) return random.pick(list);
  const forms = anyOf ?? oneOf;
  if (forms !== undefined) return fittingValue(random.pick(forms), random);
  const type = typeof it.type === 'object' ? random.pick(it.type) : it.type;
  switch (type) {
    case 'string':
      return textOf(it, random);
    case 'integer':
      return wholeOf(it, random);
    case 'number':
      return random.chance(0.5) ? wholeOf(it, random) : random.below(1_000_000) / 100;
    case 'boolean':
      return random.chance(0.5);
    case 'array':
      return arrayOf(it, random);
    case 'object':
      return objectOf(it, random);
    default:
      return null;
  }
}

/** Whatever comes to mind of those who break things. */
export function oddValue(random: Random): unknown {
  return random.chance(0.5) ? random.pick(ODD_VALUES) : random.pick(ODD_TEXTS);
}

export function oddText(random: Random): string {
  return random.pick(ODD_TEXTS);
}

/** `value` with one thing changed somewhere in it. */
export function broken(value: unknown, random: Random): unknown {
  if (typeof value !== 'object' || value === null || random.chance(0.1)) return oddValue(random);
  if (Array.isArray(value)) {
    const at = random.below(value.length + 1);
    return value.with(Math.min(at, value.length - 1), broken(value[at], random));
  }
  const entries = Object.entries(value);
  const at = random.below(entries.length + 1);
  const [name = 'unknown', old] = entries[at] ?? [];
  switch (random.below(3)) {
    case 0:
      return Object.fromEntries(entries.filter((_, i) => i !== at));
    case 1:
      return Object.fromEntries([...entries, [oddText(random), oddValue(random)]]);
    default:
      return Object.fromEntries([...entries, [name, broken(old, random)]]);
  }
}

function textOf({ format, pattern }: Schema, random: Random): string {
  if (format === 'product-id') return random.pick(PRODUCTS);
  if (format === 'event-id') return random.pick(KEYS);
  if (format === 'event-time')
    return String(random.pick(TIMES.filter((time) => typeof time === 'string')));
  if (pattern === undefined) return random.pick(PRODUCTS);
  const allowed = PATTERNED.filter((text) => new RegExp(pattern).test(text));
  return allowed.length === 0 ? 'x' : random.pick(allowed);
}

function wholeOf({ format, minimum = 0, maximum = 2 ** 53 - 1 }: Schema, random: Random): number {
  if (format === 'event-time') return 1_700_000_000_000 + random.below(1_000_000);
  switch (random.below(8)) {
    case 0:
      return minimum;
    case 1:
      return maximum;
    default:
      return (
        Math.max(minimum, 0) + random.below(Math.min(maximum - Math.max(minimum, 0), 2000) + 1)
      );
  }
}

function arrayOf({ items = {}, minItems = 0 }: Schema, random: Random): unknown[] {
  const length = random.chance(0.02) ? 400 : random.integer(minItems, minItems + 5);
  return Array.from({ length }, () => fittingValue(items, random));
}

function objectOf({ properties = {}, required = [] }: Schema, random: Random): object {
  const entries = Object.entries(properties)
    .filter(([name]) => required.includes(name) || random.chance(0.4))
    .map(([name, schema]) => [name, fittingValue(schema, random)] as const);
  return Object.fromEntries(random.chance(0.2) ? random.shuffled(entries) : entries);
}
