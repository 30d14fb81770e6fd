/**
 * Reads the query of a GET by the names and the grammar of its route. By hand, so that a GET
 * without a query pays nothing for it and numbers follow the strict grammar of the configuration.
 * Main thread.
 */

/** A query as Fastify parses it: an array where a name was given more than once. */
export type RawQuery = Readonly<Record<string, string | string[] | undefined>>;

/** What was asked for, or one sentence about what is wrong with it. */
export type Parsed<T> = { readonly query: T } | { readonly fault: string };

const NAME_SHOWN_MAX = 80;

export class QueryReader {
  readonly #raw: RawQuery;
  #fault: string | undefined;

  /** `known` are the names that the route takes; any other is a fault, so that no typo is ignored. */
  constructor(raw: RawQuery, known: readonly string[]) {
    this.#raw = raw;
    const unknown = Object.keys(raw).find((name) => !known.includes(name));
    if (unknown === undefined) return;
    const name = JSON.stringify(unknown.slice(0, NAME_SHOWN_MAX));
    this.#fault = `The parameter ${name} is unknown; this route knows ${known.join(', ')}.`;
  }

  has(name: string): boolean {
    return this.#raw[name] !== undefined;
  }

  /** The value of a parameter that may be given once; `rule` completes "name must be …". */
  once<T>(name: string, parse: (text: string) => T | undefined, rule: string): T | undefined {
    const text = this.#raw[name];
    if (text === undefined) return undefined;
    const value = typeof text === 'string' ? parse(text) : undefined;
    if (value === undefined) this.fail(`${name} must be ${rule}, given once.`);
    return value;
  }

  /** All values of a parameter that may be given many times; none is an empty list. */
  all(name: string): readonly string[] {
    const value = this.#raw[name];
    return value === undefined ? [] : [value].flat();
  }

  /** Notes a fault; the first one is reported. */
  fail(fault: string): void {
    this.#fault ??= fault;
  }

  /** What was read, unless there was a fault. */
  result<T>(query: T): Parsed<T> {
    return this.#fault === undefined ? { query } : { fault: this.#fault };
  }
}
