/**
 * Ajv as this service wants it, and the one instance of it for what the routes compile themselves.
 * Main thread.
 */
import { Ajv } from 'ajv';
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
    allowUnionTypes: true,
    strictNumbers: true, // 1e400 parses to Infinity, which is no number here
    formats: { 'product-id': isProductId, 'event-id': isEventId, 'event-time': isEventTime },
  },
} as const;

/** Schemas that belong to no route of Fastify's, or that their handler runs, are compiled here. */
export const ajv = new Ajv(ajvOptions.customOptions);
