/** Variables of databases that follow. Pure data, any thread. */
import { Type } from '@sinclair/typebox';
import { duration, HOUR_MS, integer, text } from '../variable.ts';

export const SINKS = {
  sinks: Type.Optional(
    text({
      env: 'SINKS',
      defaultText: '',
      pattern: '^[^\\u0000-\\u001f]{1,8192}$',
      allowedText:
        'any of sqlite:PATH, postgres://… (with ?schema=NAME, or public), redis://… (with ?prefix=TEXT, or product:)',
      description:
        'Databases that the present state of all products is kept in, each in a thread of its own; several are separated by commas',
      secret: true,
    }),
  ),
  sinkBatchSize: integer({
    env: 'BATCH_SIZE',
    defaultText: '1000',
    minimum: 1,
    maximum: 100_000,
    description: 'Products that a sink writes in one transaction at the most',
  }),
  sinkFlushIntervalMs: duration({
    env: 'BATCH_FLUSH_INTERVAL',
    defaultText: '1s',
    minimum: 1,
    maximum: HOUR_MS,
    description: 'How long a sink waits for a batch to fill',
  }),
  sinkConnectionsMax: integer({
    env: 'MAX_CONNECTIONS',
    defaultText: '100',
    minimum: 1,
    maximum: 10_000,
    description:
      "Connections to a sink's database at the most; a sink writes on one and opens others only for queries beside it",
  }),
  sinkTimeoutMs: duration({
    env: 'CONNECTION_TIMEOUT',
    defaultText: '30s',
    minimum: 100,
    maximum: HOUR_MS,
    description: 'How long a sink waits for a connection, and for each call of its database',
  }),
  sinkHoldMs: duration({
    env: 'SINK_HOLD',
    defaultText: '1h',
    minimum: 100,
    maximum: 720 * HOUR_MS,
    description:
      'How long places of forgotten products wait for a sink that is not reached; later its rows are compared with the store when it is',
  }),
  retryAttemptsMax: integer({
    env: 'MAX_RETRY_ATTEMPTS',
    defaultText: '3',
    minimum: 1,
    maximum: 1_000,
    description: 'Attempts of a sink, the first included, before its breaker counts a failure',
  }),
  retryInitialMs: duration({
    env: 'INITIAL_RETRY_DELAY',
    defaultText: '100ms',
    minimum: 1,
    maximum: HOUR_MS,
    description:
      'Pause before the second attempt at the most; it doubles with each that fails, and any part of it is taken by chance',
  }),
  retryMaxMs: duration({
    env: 'MAX_RETRY_DELAY',
    defaultText: '30s',
    minimum: 1,
    maximum: HOUR_MS,
    description: 'The longest pause between two attempts; at least INITIAL_RETRY_DELAY',
  }),
  breakerThreshold: integer({
    env: 'CIRCUIT_BREAKER_THRESHOLD',
    defaultText: '5',
    minimum: 1,
    maximum: 1_000,
    description: "Failures in a row that open a sink's breaker",
  }),
  breakerTimeoutMs: duration({
    env: 'CIRCUIT_BREAKER_TIMEOUT',
    defaultText: '60s',
    minimum: 1,
    maximum: HOUR_MS,
    description: 'How long an open breaker leaves a database alone before it tries once',
  }),
  deadLettersMax: integer({
    env: 'DEAD_LETTERS_MAX',
    defaultText: '10000',
    minimum: 1,
    maximum: 10_000_000,
    description:
      'Rows and events that are kept because they could not be delivered; a sink that has one more stands still',
  }),
};
