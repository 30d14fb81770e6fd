/**
 * What the service is made of beside its own sources, as docs/dependencies.md lists it: from package.json and
 * the lock. Pure; `npm run docs:dependencies` writes the page, test/project/dependencies.test.ts holds it.
 */

/** What each direct dependency is for. One that is missing here stops the page from being written. */
const PURPOSES: Readonly<Record<string, string>> = {
  '@fastify/swagger': "the API's document, from the routes' schemas",
  '@fastify/swagger-ui': 'the page at `/docs`',
  '@fastify/type-provider-typebox': 'types of requests, from their schemas',
  '@nats-io/transport-node': 'the stream of a cluster, loaded with LOG=jetstream',
  '@opentelemetry/api': 'traces, loaded where a collector is set',
  '@opentelemetry/core': 'the W3C context of traces, loaded with them',
  '@opentelemetry/exporter-trace-otlp-proto': 'sends traces by OTLP, loaded with them',
  '@opentelemetry/resources': 'whose traces they are, loaded with them',
  '@opentelemetry/sdk-trace': 'spans, samplers and batches, loaded with them',
  '@prometheus-io/client': '`/metrics` in the formats of Prometheus',
  '@redis/client': 'the sink to Redis, loaded where it is set',
  '@sinclair/typebox': 'schemas of requests, answers and the configuration',
  ajv: 'checks events against their schema',
  'ajv-formats': 'formats that schemas name',
  cockatiel: 'circuit breaker of sinks',
  'eventsource-parser': 'reads the change feed, for `product-service tail`',
  fastify: 'HTTP: routing, bodies, hooks',
  'find-my-way': 'whose path a request has that no route took',
  jose: 'JSON Web Tokens, loaded with authentication',
  pg: 'the sink to PostgreSQL, loaded where it is set',
  pino: 'log lines',
  piscina: 'the pool of appliers',
  saxes: 'reads XML, for imports of BMEcat',
  uplot: 'charts of the status page, in the browser',
};

export interface Manifest {
  readonly dependencies: Readonly<Record<string, string>>;
  readonly allowScripts: Readonly<Record<string, boolean>>;
}

interface LockedPackage {
  readonly version: string;
  readonly license?: string;
  readonly dev?: boolean;
  readonly devOptional?: boolean;
  readonly optional?: boolean;
  readonly hasInstallScript?: boolean;
  readonly devDependencies?: Readonly<Record<string, string>>;
}

export interface Lock {
  /** By the folder below the repository; `''` is the service itself. */
  readonly packages: Readonly<Record<string, LockedPackage>>;
}

export interface RuntimePackage {
  readonly name: string;
  readonly version: string;
  readonly license: string;
  readonly isOptional: boolean;
}

/** All that an installation without development tools may have, each name and version once. */
export function runtimePackages({ packages }: Lock): RuntimePackage[] {
  const found = new Map<string, RuntimePackage>();
  for (const [folder, entry] of Object.entries(packages)) {
    if (folder === '' || isDevelopment(entry)) continue;
    const { version, license = 'none', optional } = entry;
    const name = folder.slice(folder.lastIndexOf('node_modules/') + 'node_modules/'.length);
    found.set(`${name}@${version}`, { name, version, license, isOptional: optional === true });
  }
  return [...found.values()].sort((a, b) => (a.name < b.name ? -1 : a.name > b.name ? 1 : 0));
}

/** The lock of the service alone. */
export function withoutDevelopment(lock: Lock): Lock {
  const kept = Object.entries(lock.packages).flatMap(([folder, entry]) => {
    if (folder !== '') return isDevelopment(entry) ? [] : [[folder, entry] as const];
    const { devDependencies: _, ...own } = entry;
    return [[folder, own] as const];
  });
  return { ...lock, packages: Object.fromEntries(kept) };
}

function isDevelopment({ dev, devOptional }: LockedPackage): boolean {
  return dev === true || devOptional === true;
}

/** Packages that run a script when they are installed, development tools among them. */
export function withInstallScripts({ packages }: Lock): string[] {
  return Object.entries(packages).flatMap(([folder, { hasInstallScript }]) =>
    hasInstallScript === true ? [folder.replace(/^.*node_modules\//, '')] : [],
  );
}

/** The whole page; ends with a newline. */
export function dependenciesPage({ dependencies }: Manifest, lock: Lock): string {
  const all = runtimePackages(lock);
  const direct = Object.entries(dependencies).sort(([a], [b]) => (a < b ? -1 : 1));
  const rows = direct.map(([name, range]) => {
    const purpose = PURPOSES[name];
    if (purpose === undefined) throw new Error(`say in .ci/dependency-docs.ts what ${name} is for`);
    const { license } = all.find((each) => each.name === name) ?? {};
    return `| \`${name}\` | ${range} | ${license} | ${purpose} |`;
  });
  const others = all.filter(
    ({ name, isOptional }) => dependencies[name] === undefined && !isOptional,
  );
  const byLicense = Map.groupBy(others, ({ license }) => license);
  const optional = new Set(
    all.filter(({ isOptional }) => isOptional).map(({ license }) => license),
  );
  return [
    '# Dependencies',
    '',
    'Written by `npm run docs:dependencies`, from package.json and the lock. What runs with the service:',
    '',
    '| package | version | licence | for |',
    '| --- | --- | --- | --- |',
    ...rows,
    '',
    'What these bring along:',
    '',
    ...[...byLicense]
      .sort(([a], [b]) => (a < b ? -1 : 1))
      .map(
        ([license, packages]) =>
          `- ${license}: ${packages.map(({ name, version }) => `${name} ${version}`).join(', ')}`,
      ),
    '',
    `And for each kind of machine one of ${all.filter(({ isOptional }) => isOptional).length} optional packages (${[...optional].sort().join(', ')}).`,
    '',
    '`make sbom` writes all of it to sbom.json (CycloneDX). Nothing of it runs a script when it is installed: of all',
    'packages, development tools among them, only `node` may (it fetches the runtime), and the image installs with',
    '`--ignore-scripts`. The lock has the checksum of each package and names no server.',
    '',
  ].join('\n');
}
