/**
 * The configuration of the service: one schema, from which the type, the checks, `--help`, the
 * table of docs/configuration.md and `.env.example` are all derived. Pure data, any thread.
 *
 * A variable stands with others of its topic in `variables/`; in their order, a user reads them. Its range is said
 * in JSON Schema's own words (minimum, maximum, pattern); what the environment needs (variable, default as text,
 * kind) stands beside it under `variable`.
 */
import { type Static, Type, TypeGuard } from '@sinclair/typebox';
import type { Variable } from './variable.ts';
import { CLIENTS } from './variables/clients.ts';
import { CLUSTER } from './variables/cluster.ts';
import { DISK } from './variables/disk.ts';
import { EVENTS } from './variables/events.ts';
import { LISTENING } from './variables/listening.ts';
import { NATS } from './variables/nats.ts';
import { REQUESTS } from './variables/requests.ts';
import { SERVICE } from './variables/service.ts';
import { SINKS } from './variables/sinks.ts';
import { TOKENS } from './variables/tokens.ts';
import { WRITE_PATH } from './variables/write-path.ts';

/** Stands in the place of a secret wherever it would be shown. */
export const MASK = '***';

export const ConfigSchema = Type.Object({
  ...LISTENING,
  ...TOKENS,
  ...WRITE_PATH,
  ...SERVICE,
  ...REQUESTS,
  ...CLIENTS,
  ...EVENTS,
  ...DISK,
  ...CLUSTER,
  ...NATS,
  ...SINKS,
});

/** The checked configuration: frozen, flat, units last in the names. Made by `loadConfig` only. */
export type Config = Readonly<Static<typeof ConfigSchema>>;

export type ConfigKey = keyof Config;

/** Gives what is known of one property's variable. */
export function variableOf(key: ConfigKey): Variable {
  return ConfigSchema.properties[key].variable;
}

/** Gives the range of a property that is a number. */
export function rangeOf(key: ConfigKey): { readonly minimum: number; readonly maximum: number } {
  const { minimum, maximum } = ConfigSchema.properties[key];
  return { minimum, maximum };
}

/** Whether a property may be absent, which it is if its variable is empty or not set. */
export function isOptional(key: ConfigKey): boolean {
  return TypeGuard.IsOptional(ConfigSchema.properties[key]);
}

/** All properties, in the order in which a user reads them. */
export const CONFIG_KEYS: readonly ConfigKey[] = Object.freeze(
  Object.keys(ConfigSchema.properties) as ConfigKey[],
);
