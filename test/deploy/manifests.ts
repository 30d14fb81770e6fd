/** The manifests of one folder, as the tests read them, and Kubernetes' own schemas for their kinds. Tests only. */
import { readdirSync, readFileSync } from 'node:fs';
import { ServiceMonitor } from '@kubernetes-models/prometheus-operator/monitoring.coreos.com/v1/ServiceMonitor';
import { StatefulSet } from 'kubernetes-models/apps/v1/StatefulSet';
import { Job } from 'kubernetes-models/batch/v1/Job';
import { NetworkPolicy } from 'kubernetes-models/networking.k8s.io/v1/NetworkPolicy';
import { PodDisruptionBudget } from 'kubernetes-models/policy/v1/PodDisruptionBudget';
import { ConfigMap } from 'kubernetes-models/v1/ConfigMap';
import { Service } from 'kubernetes-models/v1/Service';
import type { Test } from 'tap';
import { parse, parseAllDocuments } from 'yaml';

const MODELS = {
  ConfigMap,
  Job,
  NetworkPolicy,
  PodDisruptionBudget,
  Service,
  ServiceMonitor,
  StatefulSet,
};
const KUSTOMIZATION = 'kustomization.yaml';

type Kind = keyof typeof MODELS;

export interface Manifest {
  readonly apiVersion: string;
  readonly kind: Kind;
  readonly metadata: { readonly name: string };
}

export class Manifests {
  readonly all: readonly Manifest[];
  /** Names of the files with manifests, sorted. */
  readonly files: readonly string[];
  /** Those that are applied. */
  readonly listed: readonly string[];
  readonly #folder: URL;

  /** `path` is below the repository, with a slash at its end. */
  constructor(path: string) {
    this.#folder = new URL(`../../${path}`, import.meta.url);
    this.files = readdirSync(this.#folder)
      .filter((file) => file.endsWith('.yaml') && file !== KUSTOMIZATION)
      .sort();
    this.listed = (parse(this.#read(KUSTOMIZATION)) as { readonly resources: string[] }).resources;
    this.all = this.files
      .flatMap((file) => parseAllDocuments(this.#read(file), { uniqueKeys: true }))
      .map((document) => document.toJS() as Manifest);
  }

  /** The one manifest of a kind, and of a name where there are more. */
  the<K extends Kind>(
    t: Pick<Test, 'equal'>,
    kind: K,
    name = 'product-service',
  ): InstanceType<(typeof MODELS)[K]> {
    const found = this.all.filter((one) => one.kind === kind && one.metadata.name === name);
    t.equal(found.length, 1, `${kind} ${name}`);
    return found[0] as unknown as InstanceType<(typeof MODELS)[K]>;
  }

  /** Throws what Kubernetes' schema of its kind says against it. */
  validate(manifest: Manifest): void {
    new MODELS[manifest.kind](manifest as never).validate();
  }

  #read(file: string): string {
    return readFileSync(new URL(file, this.#folder), 'utf8');
  }
}
