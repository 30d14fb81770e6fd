/**
 * Options of a route whose schema, or that of its body, describes it for the API's document and is not
 * run: its handler reads what came by hand. Main thread.
 */
import type { FastifySchemaCompiler } from 'fastify';
import { compileSchema } from '../../event/ajv.ts';

// No function at all: Fastify then passes over validation, where one that takes anything would be
// called for each part of each request.
const nothingToRun = (() => undefined) as unknown as FastifySchemaCompiler<unknown>;

export const describedOnly = {
  validatorCompiler: nothingToRun,
} as const;

/** Its handler validates the body; the rest of its schema is run. */
export const handlerValidatedBody = {
  validatorCompiler: ((part) =>
    part.httpPart === 'body' ? undefined : compileSchema(part)) as FastifySchemaCompiler<unknown>,
} as const;
