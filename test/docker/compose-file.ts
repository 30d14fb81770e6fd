/** A compose file as the tests read it. */
import { readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { parse } from 'yaml';

/** The parts of the service that the tests read. */
export interface ComposedService {
  readonly build?: string;
  readonly image: string;
  readonly init: boolean;
  readonly restart: string;
  readonly stop_grace_period: string;
  readonly ports: readonly string[];
  readonly environment: Readonly<Record<string, string>>;
  readonly secrets?: readonly string[];
  readonly volumes: readonly string[];
  readonly read_only: boolean;
  readonly tmpfs: readonly string[];
  readonly cap_drop: readonly string[];
  readonly security_opt: readonly string[];
  readonly healthcheck?: { readonly disable?: boolean; readonly test?: unknown };
  readonly deploy: {
    readonly resources: {
      readonly limits: { readonly cpus?: string; readonly memory: string; readonly pids: number };
    };
  };
  readonly ulimits: { readonly nofile: { readonly soft: number; readonly hard: number } };
}

interface Compose {
  readonly services: { readonly 'product-service': ComposedService };
  readonly volumes: Readonly<Record<string, unknown>>;
  readonly secrets?: Readonly<Record<string, { readonly file: string }>>;
}

/** The file at `path` below the repository, and where it is. */
export function readCompose(path: string): Compose & { readonly path: string } {
  const url = new URL(`../../${path}`, import.meta.url);
  const compose: Compose = parse(readFileSync(url, 'utf8'), { strict: true, uniqueKeys: true });
  return { ...compose, path: fileURLToPath(url) };
}
