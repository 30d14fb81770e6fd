/** A compose file as the tests read it. */
import { readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { parse } from 'yaml';

/** A config or a secret at a place of its own. */
export interface Mounted {
  readonly source: string;
  readonly target: string;
}

/** The parts of a service that the tests read. */
export interface ComposedService {
  readonly build?: string;
  readonly image: string;
  readonly init: boolean;
  readonly restart: string;
  readonly profiles?: readonly string[];
  readonly command?: readonly string[];
  readonly stop_grace_period: string;
  readonly networks?: readonly string[];
  readonly ports?: readonly string[];
  readonly environment: Readonly<Record<string, string>>;
  readonly configs?: readonly Mounted[];
  readonly secrets?: readonly (string | Mounted)[];
  readonly volumes: readonly string[];
  readonly read_only: boolean;
  readonly tmpfs: readonly string[];
  readonly cap_drop: readonly string[];
  readonly security_opt: readonly string[];
  readonly healthcheck?: {
    readonly disable?: boolean;
    readonly test?: unknown;
    readonly start_period?: string;
  };
  readonly deploy: {
    readonly resources: {
      readonly limits: { readonly cpus?: string; readonly memory: string; readonly pids: number };
    };
  };
  readonly ulimits: { readonly nofile: { readonly soft: number; readonly hard: number } };
}

export interface Compose {
  readonly name: string;
  readonly services: Readonly<Record<string, ComposedService>>;
  readonly volumes: Readonly<Record<string, unknown>>;
  readonly networks?: Readonly<Record<string, { readonly internal?: boolean }>>;
  readonly configs?: Readonly<Record<string, { readonly file: string }>>;
  readonly secrets?: Readonly<Record<string, { readonly file: string }>>;
}

/** The file at `path` below the repository, and where it is. */
export function readCompose(path: string): Compose & { readonly path: string } {
  const url = new URL(`../../${path}`, import.meta.url);
  const options = { strict: true, uniqueKeys: true, merge: true };
  const compose: Compose = parse(readFileSync(url, 'utf8'), options);
  return { ...compose, path: fileURLToPath(url) };
}

/** Names of the services that run for good, and of this service's image or another's. */
export function servicesOf({ services }: Compose, image: string): string[] {
  return Object.entries(services)
    .filter(([, { image: name, profiles }]) => name?.split(':')[0] === image && !profiles)
    .map(([name]) => name);
}
