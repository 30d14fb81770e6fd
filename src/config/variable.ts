/**
 * What is known of a variable of the environment beside the range of its value, and the kinds of variables that
 * there are, each a schema of TypeBox. Pure data, any thread.
 */
import { type TLiteral, type TUnion, Type } from '@sinclair/typebox';

/** How the text of a variable is read: see `quantity.ts` for the numbers. */
export type VariableKind =
  | 'integer'
  | 'bytes'
  | 'duration'
  | 'boolean'
  | 'choice'
  | 'text'
  | 'networks'
  | 'origins'
  | 'host';

/** What is known of one variable apart from the range of its value. */
export interface Variable {
  /** Its name in the environment. */
  readonly env: string;
  readonly kind: VariableKind;
  /** The default, as a user would write it; `''` of an optional one, which is not set then. */
  readonly defaultText: string;
  /** One sentence, without a full stop at the end. */
  readonly description: string;
  /** What is allowed, in words, where the kind and the range do not say it. */
  readonly allowedText?: string;
  /** Whether its value is never shown: neither in messages nor where the configuration is printed. */
  readonly secret?: boolean;
}

type NumberVariable = Omit<Variable, 'kind'> & {
  readonly minimum: number;
  readonly maximum: number;
};

export const KB = 1024;
export const MB = 1024 * KB;
export const GB = 1024 * MB;
export const SECOND_MS = 1_000;
export const MINUTE_MS = 60 * SECOND_MS;
export const HOUR_MS = 60 * MINUTE_MS;

export function integer({ minimum, maximum, ...variable }: NumberVariable) {
  return Type.Integer({ minimum, maximum, variable: { ...variable, kind: 'integer' } });
}

export function bytes({ minimum, maximum, ...variable }: NumberVariable) {
  return Type.Integer({ minimum, maximum, variable: { ...variable, kind: 'bytes' } });
}

export function duration({ minimum, maximum, ...variable }: NumberVariable) {
  return Type.Integer({ minimum, maximum, variable: { ...variable, kind: 'duration' } });
}

/** Reads `true` and `false`. */
export function boolean(variable: Omit<Variable, 'kind'>) {
  return Type.Boolean({ variable: { ...variable, kind: 'boolean' } });
}

export function text({
  pattern,
  ...variable
}: Omit<Variable, 'kind'> & { readonly pattern: string }) {
  return Type.String({ pattern, variable: { ...variable, kind: 'text' } });
}

export function networks(variable: Omit<Variable, 'kind'>) {
  return Type.String({ variable: { ...variable, kind: 'networks' } });
}

export function origins(variable: Omit<Variable, 'kind'>) {
  return Type.String({ variable: { ...variable, kind: 'origins' } });
}

export function host(variable: Omit<Variable, 'kind'>) {
  return Type.String({ variable: { ...variable, kind: 'host' } });
}

export function choice<const Values extends readonly string[]>(
  values: Values,
  variable: Omit<Variable, 'kind'>,
) {
  const literals = values.map((value) => Type.Literal(value));
  return Type.Union(literals, {
    variable: { ...variable, kind: 'choice', allowedText: values.join(', ') },
  }) as unknown as TUnion<{ -readonly [I in keyof Values]: TLiteral<Values[I]> }>;
}
