/**
 * The certificate and its key, as files: read, and looked at before anything is done with them. Main thread;
 * at the start and at each reload.
 *
 * Node takes an empty certificate, or one that is not the key's, without a word; then every handshake fails. So
 * a pair counts only if it is one, and until then the one before it stays.
 */
import type { KeyObject, X509Certificate } from 'node:crypto';
import { readFileSync } from 'node:fs';
import type { TlsOptions } from 'node:tls';

export interface TlsPlace {
  /** TLS_CERT: the certificate, and behind it those between it and the root, in PEM. */
  readonly certPath: string;
  /** TLS_KEY: its private key, in PEM, without a passphrase. */
  readonly keyPath: string;
}

export interface LoadedTls {
  /** All that a context needs: a new one has nothing of the one before. */
  readonly options: Pick<TlsOptions, 'cert' | 'key' | 'minVersion'>;
  /** Until when the certificate is valid, as it says it. */
  readonly validTo: string;
}

/** Reads the pair; throws an error with one line that names the variable. */
export function loadTls({ certPath, keyPath }: TlsPlace): LoadedTls {
  const cert = readPem('TLS_CERT', certPath);
  const key = readPem('TLS_KEY', keyPath);
  const { X509Certificate, createPrivateKey } = process.getBuiltinModule('node:crypto');
  const certificate: X509Certificate = parsed('TLS_CERT', certPath, 'certificate', () => {
    return new X509Certificate(cert);
  });
  const privateKey: KeyObject = parsed('TLS_KEY', keyPath, 'private key', () => {
    return createPrivateKey(key);
  });
  if (!certificate.checkPrivateKey(privateKey)) {
    throw new Error(`TLS_KEY=${keyPath} is not the key of TLS_CERT=${certPath}`);
  }
  const options = { cert, key, minVersion: 'TLSv1.2' } as const;
  // What OpenSSL refuses though it could be parsed: weak keys, a broken chain.
  parsed('TLS_CERT', certPath, 'certificate', () => {
    return process.getBuiltinModule('node:tls').createSecureContext(options);
  });
  return { options, validTo: certificate.validTo };
}

function readPem(variable: string, path: string): string {
  try {
    return readFileSync(path, 'utf8');
  } catch (error) {
    throw new Error(`${variable}=${path} can't be read: ${(error as Error).message}`);
  }
}

function parsed<T>(variable: string, path: string, what: string, parse: () => T): T {
  try {
    return parse();
  } catch (error) {
    throw new Error(`${variable}=${path} has no ${what} to use: ${(error as Error).message}`);
  }
}
