/**
 * Options of a route whose schema describes it for the API's document and is not run: its handler
 * reads what came by hand and answers with text that is already JSON. Main thread.
 */
import type { FastifySchemaCompiler } from 'fastify';

// No function at all: Fastify then passes over validation, where one that takes anything would be
// called for each part of each request.
const nothingToRun = (() => undefined) as unknown as FastifySchemaCompiler<unknown>;

export const describedOnly = {
  validatorCompiler: nothingToRun,
} as const;
