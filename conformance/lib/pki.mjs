// Keys and certificates, made afresh for every run with the openssl command.

import { execFile } from 'node:child_process';
import { generateKeyPairSync } from 'node:crypto';
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { promisify } from 'node:util';

const run = promisify(execFile);
const DAYS = '30';

const EXTENSIONS = {
  authority: ['basicConstraints=critical,CA:TRUE', 'keyUsage=critical,keyCertSign,cRLSign', 'subjectKeyIdentifier=hash'],
  device: ['basicConstraints=critical,CA:FALSE', 'keyUsage=critical,digitalSignature', 'extendedKeyUsage=clientAuth'],
  server: ['basicConstraints=critical,CA:FALSE', 'keyUsage=critical,digitalSignature', 'extendedKeyUsage=serverAuth'],
};

/** Makes P-256 certificates and keeps their files in one directory. */
export class Pki {
  #directory;
  #serial = 1;

  constructor(directory) {
    this.#directory = directory;
  }

  /**
   * Makes a certificate and its key.
   *
   * - `commonName`: the only part of the subject; 1 to 64 characters.
   * - `kind`: `authority`, `device` or `server`.
   * - `issuer`: what this function returned for the authority that signs; without it the certificate signs itself.
   * - `names`: subject alternative names in openssl's notation.
   *
   * Returns `{ cert, key, certFile, keyFile }`, the first two as PEM text.
   */
  async issue(commonName, kind, { issuer, names } = {}) {
    const number = this.#serial++;
    const file = (suffix) => join(this.#directory, `${number}-${commonName}.${suffix}`);
    const [certFile, keyFile, requestFile, extensionFile] = ['pem', 'key', 'csr', 'ext'].map(file);

    const { privateKey } = generateKeyPairSync('ec', { namedCurve: 'prime256v1' });
    const key = privateKey.export({ type: 'pkcs8', format: 'pem' });
    await writeFile(keyFile, key, { mode: 0o600 });
    const extensions = [...EXTENSIONS[kind], ...(names ? [`subjectAltName=${names}`] : [])];
    await writeFile(extensionFile, extensions.join('\n') + '\n');

    await run('openssl', ['req', '-new', '-key', keyFile, '-subj', `/CN=${commonName}`, '-out', requestFile]);
    const signer = issuer ? ['-CA', issuer.certFile, '-CAkey', issuer.keyFile] : ['-signkey', keyFile];
    const { stdout: cert } = await run('openssl', [
      'x509', '-req', '-in', requestFile, '-days', DAYS, '-sha256', '-set_serial', String(number),
      '-extfile', extensionFile, ...signer,
    ]);
    await writeFile(certFile, cert);
    return { cert, key, certFile, keyFile };
  }
}
