/**
 * The manifests of deploy/k8s, of one instance and of a cluster: each is valid by Kubernetes' own schemas, they fit each
 * other, and what they say of the service is true of it: its variables, routes, times and memory.
 */
import { StatefulSet } from 'kubernetes-models/apps/v1/StatefulSet';
import t from 'tap';
import { loadConfig } from '../../src/config/load.ts';
import { parseBytes, parseDuration } from '../../src/config/quantity.ts';
import { CONFIG_KEYS, variableOf } from '../../src/config/schema.ts';
import { fakeApp } from '../helpers/fakes/http-fakes.ts';
import { Manifests } from './manifests.ts';

const SECRET = { JWT_SECRET: 'a-secret-for-this-test-of-32-bytes-or-more' };
const NATS = { NATS_URL: 'nats://u:p@nats:4222' };
const FOLDERS = [
  { folder: 'deploy/k8s/', replicas: 1, probe: '/readyz', more: {} },
  { folder: 'deploy/k8s/cluster/', replicas: 3, probe: '/readyz?for=reads', more: NATS },
] as const;

for (const { folder, replicas, probe, more } of FOLDERS) {
  const manifests = new Manifests(folder);
  const stateful = manifests.the(t, 'StatefulSet');
  const pod = stateful.spec?.template.spec;
  const container = pod?.containers[0];
  const variables = manifests.the(t, 'ConfigMap').data ?? {};
  const config = loadConfig({ ...variables, ...SECRET, ...more });

  t.test(`${folder}: each manifest is valid by its schema, which would see a wrong one`, (t) => {
    for (const manifest of manifests.all) {
      t.doesNotThrow(
        () => manifests.validate(manifest),
        `${manifest.kind} ${manifest.metadata.name}`,
      );
    }
    const wrong = structuredClone(stateful);
    Object.assign(wrong.spec ?? {}, { replicas: 'one' });
    t.throws(() => new StatefulSet(wrong).validate());
    t.end();
  });

  t.test(`${folder}: all files are listed, but the one that needs the Prometheus operator`, (t) => {
    t.same([...manifests.listed, 'service-monitor.yaml'].sort(), manifests.files);
    t.end();
  });

  t.test(`${folder}: its variables are those of the service`, (t) => {
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

  t.test(`${folder}: ports have one name and number from container to client`, (t) => {
    const ports = Object.fromEntries(
      (container?.ports ?? []).map(({ name, containerPort }) => [name, containerPort]),
    );
    t.same(ports, { http: config.port, admin: config.adminPort });
    const names = Object.keys(ports);
    for (const name of ['product-service', 'product-service-pods']) {
      const service = manifests.the(t, 'Service', name);
      for (const { targetPort } of service.spec?.ports ?? []) t.ok(names.includes(`${targetPort}`));
      t.same(service.spec?.selector, stateful.spec?.template.metadata?.labels);
    }
    for (const { ports: opened } of manifests.the(t, 'NetworkPolicy').spec?.ingress ?? []) {
      for (const { port } of opened ?? []) t.ok(names.includes(`${port}`), `${port}`);
    }
    t.equal(stateful.spec?.serviceName, 'product-service-pods');
    const monitor = manifests.the(t, 'ServiceMonitor');
    t.match(
      manifests.the(t, 'Service', 'product-service-pods').metadata?.labels,
      monitor.spec.selector.matchLabels,
    );
    t.same(
      monitor.spec.endpoints.map(({ port, path }) => [port, path]),
      [['admin', '/metrics']],
    );
    t.end();
  });

  t.test(`${folder}: everything selects the pods`, (t) => {
    const labels = stateful.spec?.template.metadata?.labels;
    t.same(stateful.spec?.selector.matchLabels, labels);
    t.same(manifests.the(t, 'NetworkPolicy').spec?.podSelector?.matchLabels, labels);
    t.same(manifests.the(t, 'PodDisruptionBudget').spec?.selector?.matchLabels, labels);
    t.end();
  });

  t.test(`${folder}: probes ask routes that exist, and a long replay is no failure`, async (t) => {
    const { app } = fakeApp();
    t.teardown(() => app.close());
    await app.ready();
    for (const probe of [container?.startupProbe, container?.livenessProbe]) {
      t.equal(probe?.httpGet?.path, '/livez', 'which is green while the log is replayed');
    }
    t.equal(container?.readinessProbe?.httpGet?.path, probe);
    for (const url of ['/livez', '/readyz']) t.ok(app.hasRoute({ method: 'GET', url }), url);
  });

  t.test(`${folder}: a pod that ends is turned away from first, and waited for`, (t) => {
    const { periodSeconds = 0, failureThreshold = 0 } = container?.readinessProbe ?? {};
    t.ok(config.drainDelayMs > periodSeconds * failureThreshold * 1000, 'the probe has seen it');
    t.ok(config.shutdownTimeoutMs > config.drainDelayMs);
    const graceMs = (pod?.terminationGracePeriodSeconds ?? 0) * 1000;
    t.ok(graceMs > config.shutdownTimeoutMs);
    t.ok(graceMs > (parseDuration('30s') ?? 0));
    t.end();
  });

  t.test(`${folder}: its memory holds the store and half a gigabyte beside it`, (t) => {
    const limit = `${container?.resources?.limits?.memory}B`;
    const bytes = parseBytes(limit) ?? 0;
    t.ok(bytes >= config.storeBytesMax + 512 * 2 ** 20, limit);
    t.equal(container?.resources?.requests?.memory, container?.resources?.limits?.memory);
    t.end();
  });

  t.test(
    `${folder}: it runs as nobody in particular, and writes to its volume and /tmp only`,
    (t) => {
      t.match(pod?.securityContext, {
        runAsNonRoot: true,
        seccompProfile: { type: 'RuntimeDefault' },
      });
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
      t.equal(stateful.spec?.replicas, replicas);
      t.end();
    },
  );
}
