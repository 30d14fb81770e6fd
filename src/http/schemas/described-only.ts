/**
 * Options of a route whose schema describes it for the API's document and is not run: its handler
 * reads what came by hand and answers with text that is already JSON. Main thread.
 */
import type { FastifySchemaCompiler, FastifySerializerCompiler } from 'fastify';

declare module 'fastify' {
  interface FastifySchema {
    summary?: string;
    description?: string;
    tags?: readonly string[];
  }
}

const takesAnything: FastifySchemaCompiler<unknown> = () => () => true;
const writesAnything: FastifySerializerCompiler<unknown> = () => (data) => JSON.stringify(data);

export const describedOnly = {
  validatorCompiler: takesAnything,
  serializerCompiler: writesAnything,
} as const;
