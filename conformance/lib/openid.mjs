// An OpenID provider: a description and keys over HTTPS, and tokens that it would give to operators.

import { generateKeyPairSync, sign } from 'node:crypto';
import { createServer } from 'node:https';
import { ADDRESS } from './network.mjs';

const AUDIENCE = 'https://azure-devices-provisioning.net';
const KEY = 'conformance-1';

/** Serves until it is closed. */
export class OpenIdProvider {
  #pair = generateKeyPairSync('rsa', { modulusLength: 2048 });
  #stranger = generateKeyPairSync('rsa', { modulusLength: 2048 });

  /** `server`: a certificate and its key, as `Pki` issues them, for `ADDRESS`. */
  static async start({ cert, key }) {
    const provider = new OpenIdProvider();
    const jwk = { ...provider.#pair.publicKey.export({ format: 'jwk' }), kid: KEY, use: 'sig', alg: 'RS256' };
    const server = createServer({ cert, key }, (request, response) => {
      const documents = {
        '/tenant/.well-known/openid-configuration': { issuer: provider.issuer, jwks_uri: `${provider.issuer}/keys` },
        '/tenant/keys': { keys: [jwk] },
      };
      const document = documents[request.url];
      response.writeHead(document ? 200 : 404, { 'content-type': 'application/json' });
      response.end(JSON.stringify(document ?? {}));
    });
    await new Promise((resolve) => server.listen(0, ADDRESS, resolve));
    provider.server = server;
    provider.issuer = `https://${ADDRESS}:${server.address().port}/tenant`;
    return provider;
  }

  /** Tokens by what is said of them: who has which role, and those that are not good. */
  tokens() {
    const contributor = ['Device Provisioning Service Data Contributor'];
    return {
      contributor: this.#token({ roles: contributor }),
      reader: this.#token({ roles: ['Device Provisioning Service Data Reader'] }),
      nobody: this.#token({}),
      expired: this.#token({ roles: contributor, exp: this.#now() - 3600 }),
      foreign: this.#token({ roles: contributor, aud: 'https://management.azure.com' }),
      forged: this.#token({ roles: contributor }, this.#stranger),
    };
  }

  close() {
    this.server.closeAllConnections();
    this.server.close();
  }

  #now() {
    return Math.floor(Date.now() / 1000);
  }

  #token(claims, { privateKey } = this.#pair) {
    const encode = (part) => Buffer.from(JSON.stringify(part)).toString('base64url');
    const now = this.#now();
    const head = encode({ typ: 'JWT', alg: 'RS256', kid: KEY });
    const text = `${head}.${encode({ iss: this.issuer, aud: AUDIENCE, iat: now, nbf: now, exp: now + 3600, ...claims })}`;
    return `${text}.${sign('sha256', Buffer.from(text), privateKey).toString('base64url')}`;
  }
}
