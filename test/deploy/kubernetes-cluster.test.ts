/**
 * What the manifests of a cluster have that those of one instance have not: three NATS servers whose configuration is
 * that of deploy/nats, which only the instances reach; budgets and places that keep a quorum; the job that begins it.
 */
import { readFileSync } from 'node:fs';
import t from 'tap';
import { loadConfig } from '../../src/config/load.ts';
import { parseBytes, parseDuration } from '../../src/config/quantity.ts';
import { readCompose, servicesOf } from '../docker/compose-file.ts';
import { Manifests } from './manifests.ts';

const manifests = new Manifests('deploy/k8s/cluster/');
const beginning = new Manifests('deploy/k8s/cluster/init/');
const instances = manifests.the(t, 'StatefulSet');
const nats = manifests.the(t, 'StatefulSet', 'nats');
const natsPod = nats.spec?.template.spec;
const server = natsPod?.containers[0];
const natsConf = manifests.the(t, 'ConfigMap', 'nats').data?.['nats.conf'] ?? '';
const variables = manifests.the(t, 'ConfigMap').data ?? {};
const job = beginning.the(t, 'Job', 'cluster-init');
const labelsOf = (set: typeof nats) => set.spec?.template.metadata?.labels;

t.test('NATS is configured as deploy/nats has it, but for the names', (t) => {
  const file = readFileSync(new URL('../../deploy/nats/nats.conf', import.meta.url), 'utf8');
  const bare = (text: string) => text.replace(/^#.*\n/gm, '').trim();
  const named = [1, 2, 3].reduce(
    (text, n) => text.replace(`nats-${n}:6222`, `nats-${n - 1}.nats-pods:6222`),
    bare(file),
  );
  t.equal(bare(natsConf), named);
  t.equal(nats.spec?.serviceName, 'nats-pods');
  t.equal(nats.spec?.replicas, 3);
  const [config] = natsPod?.volumes ?? [];
  t.same(
    config?.projected?.sources?.map((source) => source.configMap?.name ?? source.secret?.name),
    ['nats', 'nats'],
    'the password lies beside it',
  );
  t.same(server?.args, ['--config', `${server?.volumeMounts?.[1]?.mountPath}/nats.conf`]);
  t.match(server?.env, [
    { name: 'SERVER_NAME', valueFrom: { fieldRef: { fieldPath: 'metadata.name' } } },
  ]);
  t.end();
});

t.test('its ports are those that it listens on, by the same names everywhere', (t) => {
  const ports = new Map(server?.ports?.map(({ name, containerPort }) => [name, containerPort]));
  const listened = ['listen: 0.0.0.0:', 'http: 0.0.0.0:', '  listen: 0.0.0.0:'].map((prefix) =>
    Number(new RegExp(`^${prefix}(\\d+)$`, 'm').exec(natsConf)?.[1]),
  );
  t.same([ports.get('client'), ports.get('monitor'), ports.get('cluster')], listened);
  for (const name of ['nats', 'nats-pods']) {
    const { spec } = manifests.the(t, 'Service', name);
    t.same(spec?.selector, labelsOf(nats));
    for (const { port, targetPort } of spec?.ports ?? []) {
      t.equal(ports.get(`${targetPort}`), port, `${name}: ${port}`);
    }
  }
  t.equal(manifests.the(t, 'Service', 'nats-pods').spec?.publishNotReadyAddresses, true);
  for (const probe of [server?.startupProbe, server?.livenessProbe, server?.readinessProbe]) {
    // A stream that still catches up is no reason to send nobody here, or to start again.
    t.equal(probe?.httpGet?.path, '/healthz?js-server-only=true');
  }
  t.end();
});

t.test('nobody reaches NATS but the instances and who begins the cluster', (t) => {
  const { spec } = manifests.the(t, 'NetworkPolicy', 'nats');
  t.same(spec?.podSelector?.matchLabels, labelsOf(nats));
  t.same(spec?.policyTypes, ['Ingress', 'Egress']);
  const from = (port: string) =>
    spec?.ingress
      ?.filter(({ ports }) => ports?.some((one) => one.port === port))
      .flatMap((rule) => rule.from?.map((peer) => peer.podSelector?.matchLabels));
  t.same(from('client'), [labelsOf(instances), job.spec?.template.metadata?.labels]);
  t.same(from('cluster'), [labelsOf(nats)]);
  t.same(from('monitor'), [], 'probes come from the node');
  const egress = manifests.the(t, 'NetworkPolicy').spec?.egress ?? [];
  t.same(egress[0]?.to, [{ podSelector: { matchLabels: labelsOf(nats) } }]);
  t.same(egress[0]?.ports, [{ port: 'client' }]);
  t.end();
});

t.test('one of each at a time, and none beside another', (t) => {
  for (const [name, set] of [
    ['nats', nats],
    ['product-service', instances],
  ] as const) {
    const budget = manifests.the(t, 'PodDisruptionBudget', name).spec;
    t.equal(budget?.maxUnavailable, 1);
    t.same(budget?.selector?.matchLabels, labelsOf(set));
    const apart = set.spec?.template.spec?.affinity?.podAntiAffinity;
    t.match(apart?.requiredDuringSchedulingIgnoredDuringExecution, [
      { labelSelector: { matchLabels: labelsOf(set) }, topologyKey: 'kubernetes.io/hostname' },
    ]);
    t.equal(set.spec?.podManagementPolicy, 'Parallel', 'none waits for the one before');
  }
  t.end();
});

t.test('the cluster is begun by a job of its own, with what the instances have', (t) => {
  t.same(beginning.listed, beginning.files);
  t.doesNotThrow(() => beginning.all.map((manifest) => beginning.validate(manifest)));
  const { spec } = job.spec?.template ?? {};
  const [container] = spec?.containers ?? [];
  const args = container?.command ?? [];
  t.same(args.slice(2, 6), ['cluster', 'init', '--replicas', `${nats.spec?.replicas}`]);
  const size = parseBytes(args[args.indexOf('--size') + 1] ?? '') ?? Number.POSITIVE_INFINITY;
  const room = parseBytes(/max_file_store: (\S+)/.exec(natsConf)?.[1] ?? '') ?? 0;
  t.ok(size <= room);
  const [claim] = nats.spec?.volumeClaimTemplates ?? [];
  const volume = parseBytes(`${claim?.spec?.resources?.requests?.storage}B`) ?? 0;
  t.ok(room < volume, 'and the volume has room for it');
  t.same(container?.envFrom, instances.spec?.template.spec?.containers[0]?.envFrom);
  t.equal(container?.image, instances.spec?.template.spec?.containers[0]?.image);
  t.equal(spec?.restartPolicy, 'Never');
  t.end();
});

t.test('a start has as long as in Compose to take over the data of another instance', (t) => {
  const { periodSeconds = 0, failureThreshold = 0 } =
    instances.spec?.template.spec?.containers[0]?.startupProbe ?? {};
  const compose = readCompose('deploy/compose/cluster.yml');
  const [name = ''] = servicesOf(compose, 'product-service');
  const startPeriod = compose.services[name]?.healthcheck?.start_period ?? '';
  t.equal(periodSeconds * failureThreshold * 1000, parseDuration(startPeriod));
  t.end();
});

t.test('a write waits longer than NATS elects a leader', (t) => {
  const NATS_URL = 'nats://nats:4222';
  const config = loadConfig({ ...variables, NATS_URL, JWT_SECRET: 's'.repeat(32) });
  t.equal(config.log, 'jetstream');
  t.ok(config.storageTimeoutMs > 10_000);
  t.end();
});
