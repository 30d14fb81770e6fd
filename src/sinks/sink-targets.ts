/**
 * Which databases SINKS names. Pure, any thread.
 *
 *   SINKS=sqlite:/var/lib/shop/products.db,postgres://user:password@db/shop
 *
 * Separated by commas or blanks; a comma in a password is written %2C, as URLs have it.
 */

export type SinkTarget = { readonly kind: 'sqlite'; readonly path: string };

/** A database, and what it is called in logs, metrics and dead letters: its kind, with a number from the second on. */
export interface NamedSink {
  readonly name: string;
  readonly target: SinkTarget;
}

/** The sinks that `text` names, or what is wrong with it. */
export function parseSinks(text: string): readonly NamedSink[] | string {
  const found: NamedSink[] = [];
  for (const part of text.split(/[\s,]+/)) {
    if (part === '') continue;
    const target = targetOf(part);
    if (typeof target === 'string') return target;
    const before = found.filter((each) => each.target.kind === target.kind).length;
    const name = before === 0 ? target.kind : `${target.kind}-${before + 1}`;
    found.push({ name, target });
  }
  return found;
}

function targetOf(part: string): SinkTarget | string {
  const [, scheme = '', rest = ''] = /^([a-z]+):(.*)$/.exec(part) ?? [];
  switch (scheme) {
    case 'sqlite':
      if (rest === '' || rest.startsWith(':memory:')) return 'sqlite: needs the path of a file';
      return { kind: 'sqlite', path: rest };
    default:
      return 'each sink begins with sqlite:';
  }
}
