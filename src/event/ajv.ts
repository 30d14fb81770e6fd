/**
 * Ajv as this service wants it: one instance, which compiles for Fastify and for routes that validate
 * by themselves. Main thread.
 */
import { Ajv } from 'ajv';
import type { FastifySchemaCompiler, FastifyServerOptions } from 'fastify';
import { isEventId } from './event-id.ts';
import { isEventTime } from './event-time.ts';
import { isProductId } from './product-id.ts';

/** Nothing coerced, removed or filled in; every fault reported. In the form that Fastify takes. */
export const ajvOptions = {
  customOptions: {
    coerceTypes: false,
    removeAdditional: false,
    useDefaults: false,
    allErrors: true,
    // The schemas are constants; test/event/valid-schemas.test.ts holds them to the meta-schema, which
    // takes longer to compile than all of them.
    validateSchema: false,
    allowUnionTypes: true,
    strictNumbers: true, // 1e400 parses to Infinity, which is no number here
    formats: { 'product-id': isProductId, 'event-id': isEventId, 'event-time': isEventTime },
  },
} as const;

type CompilersFactory = NonNullable<
  NonNullable<FastifyServerOptions['schemaController']>['compilersFactory']
>;
type BuildValidator = NonNullable<CompilersFactory['buildValidator']>;

export const ajv = new Ajv(ajvOptions.customOptions);

export const compileSchema: FastifySchemaCompiler<unknown> = ({ schema }) =>
  ajv.compile(schema as object);

/**
 * Fastify's own compilers, unless it is given others, bring a second Ajv and a compiler of
 * serialisers with them, which take longer to load than the schemas to compile. Response schemas
 * describe: every answer is text already, or a problem in a Buffer.
 */
export const compilersFactory = {
  // Its type is that of Ajv's own `compile`; it is called with the schema's place as well.
  buildValidator: (() => compileSchema) as unknown as BuildValidator,
  buildSerializer: () => () => JSON.stringify,
} as const;
