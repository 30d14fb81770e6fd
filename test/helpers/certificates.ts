/** Certificates of the tests' own, made by openssl. Tests only. */
import { execFileSync } from 'node:child_process';
import { copyFileSync, readFileSync } from 'node:fs';
import { join } from 'node:path';

export class Certificates {
  readonly #folder: string;

  /** In `folder`, which must be there. */
  constructor(folder: string) {
    this.#folder = folder;
  }

  /** Where `name`, such as first.crt, is. */
  pathOf(name: string): string {
    return join(this.#folder, name);
  }

  /** Makes NAME.crt and NAME.key, for localhost or other names (DNS:…, IP:…), with NAME as its subject. */
  make(name: string, names = 'DNS:localhost'): void {
    const args = ['req', '-x509', '-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:P-256', '-nodes'];
    args.push('-days', '30', '-subj', `/CN=${name}`, '-addext', `subjectAltName=${names}`);
    args.push('-keyout', this.pathOf(`${name}.key`), '-out', this.pathOf(`${name}.crt`));
    execFileSync('openssl', args, { stdio: 'ignore' });
  }

  /** Puts NAME's pair where `env` has the service look, from now on. */
  install(name: string): void {
    copyFileSync(this.pathOf(`${name}.crt`), this.pathOf('tls.crt'));
    copyFileSync(this.pathOf(`${name}.key`), this.pathOf('tls.key'));
  }

  get env(): { readonly TLS_CERT: string; readonly TLS_KEY: string } {
    return { TLS_CERT: this.pathOf('tls.crt'), TLS_KEY: this.pathOf('tls.key') };
  }

  /** The certificate as text, for clients that trust it. */
  pemOf(name: string): string {
    return readFileSync(this.pathOf(`${name}.crt`), 'utf8');
  }
}
