/** One of a few words, as a schema that reads well in the API's description. Main thread. */
import { type SchemaOptions, type TUnsafe, Type } from '@sinclair/typebox';

export function oneOf<T extends string>(
  words: readonly T[],
  options: SchemaOptions = {},
): TUnsafe<T> {
  return Type.Unsafe<T>({ type: 'string', enum: [...words], ...options });
}
