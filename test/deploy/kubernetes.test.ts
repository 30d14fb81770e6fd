/**
 * The manifests of deploy/k8s: each is valid by Kubernetes' own schemas, they fit each other, and what
 * they say of the service is true of it: its variables, routes, times and memory.
 */
import { readdirSync, readFileSync } from 'node:fs';
import { ServiceMonitor } from '@kubernetes-models/prometheus-operator/monitoring.coreos.com/v1/ServiceMonitor';
import { StatefulSet } from 'kubernetes-models/apps/v1/StatefulSet';
import { NetworkPolicy } from 'kubernetes-models/networking.k8s.io/v1/NetworkPolicy';
import { PodDisruptionBudget } from 'kubernetes-models/policy/v1/PodDisruptionBudget';
import { ConfigMap } from 'kubernetes-models/v1/ConfigMap';
import { Service } from 'kubernetes-models/v1/Service';
import t from 'tap';
import { parse, parseAllDocuments } from 'yaml';
import { loadConfig } from '../../src/config/load.ts';
import { parseBytes, parseDuration } from '../../src/config/quantity.ts';
import { CONFIG_KEYS, variableOf } from '../../src/config/schema.ts';
import { fakeApp } from '../helpers/fakes/http-fakes.ts';

const FOLDER = new URL('../../deploy/k8s/', import.meta.url);
const MODELS = {
  ConfigMap,
  NetworkPolicy,
  PodDisruptionBudget,
  Service,
  ServiceMonitor,
  StatefulSet,
};
const SECRET = { JWT_SECRET: 'a-secret-for-this-test-of-32-bytes-or-more' };

type Kind = keyof typeof MODELS;
interface Manifest {
  readonly apiVersion: string;
  readonly kind: Kind;
  readonly metadata: { readonly name: string };
}

const kustomization = parse(read('kustomization.yaml')) as { readonly resources: string[] };
const manifests = readdirSync(FOLDER)
  .filter((file) => file !== 'kustomization.yaml')
  .flatMap((file) => parseAllDocuments(read(file), { uniqueKeys: true }))
  .map((document) => document.toJS() as Manifest);

function read(file: string): string {
  return readFileSync(new URL(file, FOLDER), 'utf8');
}

/** The one manifest of a kind, and of a name where there are more. */
function the<K extends Kind>(kind: K, name = 'product-service'): InstanceType<(typeof MODELS)[K]> {
  const found = manifests.filter((one) => one.kind === kind && one.metadata.name === name);
  t.equal(found.length, 1, `${kind} ${name}`);
  return found[0] as unknown as InstanceType<(typeof MODELS)[K]>;
}

const stateful = the('StatefulSet');
const pod = stateful.spec?.template.spec;
const container = pod?.containers[0];
const variables = the('ConfigMap').data ?? {};
const config = loadConfig({ ...variables, ...SECRET });

t.test('each manifest is valid by its schema, which would see a wrong one', (t) => {
  for (const manifest of manifests) {
    t.doesNotThrow(() => new MODELS[manifest.kind](manifest as never).validate(), manifest.kind);
  }
  const wrong = structuredClone(manifests.find(({ kind }) => kind === 'StatefulSet'));
  Object.assign((wrong as unknown as typeof stateful).spec ?? {}, { replicas: 'one' });
  t.throws(() => new StatefulSet(wrong as never).validate());
  t.end();
});

t.test('all files are listed, but the one that needs the Prometheus operator', (t) => {
  const files = readdirSync(FOLDER).filter((file) => file !== 'kustomization.yaml');
  t.same([...kustomization.resources, 'service-monitor.yaml'].sort(), files.sort());
  t.end();
});

t.test('its variables are those of the service', (t) => {
  const known = CONFIG_KEYS.map((key) => variableOf(key).env);
  t.same(
    Object.keys(variables).filter((name) => !known.includes(name)),
    [],
  );
  t.equal(config.host, '0.0.0.0', 'reachable from other pods');
  t.same(
    container?.envFrom?.map((from) => from.configMapRef?.name ?? from.secretRef?.name),
    ['product-service', 'product-service'],
  );
  t.end();
});

t.test('ports have one name and number from container to client', (t) => {
  const ports = Object.fromEntries(
    (container?.ports ?? []).map(({ name, containerPort }) => [name, containerPort]),
  );
  t.same(ports, { http: config.port, admin: config.adminPort });
  const names = Object.keys(ports);
  for (const name of ['product-service', 'product-service-pods']) {
    const service = the('Service', name);
    for (const { targetPort } of service.spec?.ports ?? []) t.ok(names.includes(`${targetPort}`));
    t.same(service.spec?.selector, stateful.spec?.template.metadata?.labels);
  }
  for (const { ports: opened } of the('NetworkPolicy').spec?.ingress ?? []) {
    for (const { port } of opened ?? []) t.ok(names.includes(`${port}`), `${port}`);
  }
  t.equal(stateful.spec?.serviceName, 'product-service-pods');
  const monitor = the('ServiceMonitor');
  t.match(
    the('Service', 'product-service-pods').metadata?.labels,
    monitor.spec.selector.matchLabels,
  );
  t.same(
    monitor.spec.endpoints.map(({ port, path }) => [port, path]),
    [['admin', '/metrics']],
  );
  t.end();
});

t.test('everything selects the pods', (t) => {
  const labels = stateful.spec?.template.metadata?.labels;
  t.same(stateful.spec?.selector.matchLabels, labels);
  t.same(the('NetworkPolicy').spec?.podSelector?.matchLabels, labels);
  t.same(the('PodDisruptionBudget').spec?.selector?.matchLabels, labels);
  t.end();
});

t.test('probes ask routes that exist, and a long replay is no failure', async (t) => {
  const { app } = fakeApp();
  t.teardown(() => app.close());
  await app.ready();
  for (const probe of [container?.startupProbe, container?.livenessProbe]) {
    t.equal(probe?.httpGet?.path, '/livez', 'which is green while the log is replayed');
  }
  t.equal(container?.readinessProbe?.httpGet?.path, '/readyz');
  for (const url of ['/livez', '/readyz']) t.ok(app.hasRoute({ method: 'GET', url }), url);
});

t.test('a pod that ends is turned away from first, and waited for', (t) => {
  const { periodSeconds = 0, failureThreshold = 0 } = container?.readinessProbe ?? {};
  t.ok(config.drainDelayMs > periodSeconds * failureThreshold * 1000, 'the probe has seen it');
  t.ok(config.shutdownTimeoutMs > config.drainDelayMs);
  const graceMs = (pod?.terminationGracePeriodSeconds ?? 0) * 1000;
  t.ok(graceMs > config.shutdownTimeoutMs);
  t.ok(graceMs > (parseDuration('30s') ?? 0));
  t.end();
});

t.test('its memory holds the store and half a gigabyte beside it', (t) => {
  const limit = `${container?.resources?.limits?.memory}B`;
  const bytes = parseBytes(limit) ?? 0;
  t.ok(bytes >= config.storeBytesMax + 512 * 2 ** 20, limit);
  t.equal(container?.resources?.requests?.memory, container?.resources?.limits?.memory);
  t.end();
});

t.test('it runs as nobody in particular, and writes to its volume and /tmp only', (t) => {
  t.match(pod?.securityContext, { runAsNonRoot: true, seccompProfile: { type: 'RuntimeDefault' } });
  t.match(container?.securityContext, {
    allowPrivilegeEscalation: false,
    readOnlyRootFilesystem: true,
    capabilities: { drop: ['ALL'] },
  });
  t.same(
    container?.volumeMounts?.map(({ mountPath }) => mountPath),
    [config.dataDir, '/tmp'],
  );
  t.equal(stateful.spec?.volumeClaimTemplates?.[0]?.metadata?.name, 'data');
  t.equal(stateful.spec?.replicas, 1, 'a catalogue is one instance');
  t.end();
});
