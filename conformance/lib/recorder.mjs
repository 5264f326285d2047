// Stands between one device and the server, and keeps what each tells the other. It ends TLS on both sides, with the
// server's key on the one and the device's own on the other, and changes nothing of what is inside.

import { once } from 'node:events';
import { connect, createServer } from 'node:tls';
import { Unwrapped } from './frames.mjs';

export class Recorder {
  #world;
  #server;
  #listeners = [];
  #order;
  #sessions = [];

  /**
   * Listens in place of the server.
   *
   * - `world`: has the keys of the server and of its authority.
   * - `ports`: where to listen; the server listens on the same ones.
   * - `address`: where to listen.
   * - `server`: the address that the server listens on.
   */
  static async start(world, ports, address, server) {
    const recorder = new Recorder();
    recorder.#world = world;
    recorder.#server = server;
    await Promise.all(ports.map((port) => recorder.#listen(port, address)));
    return recorder;
  }

  async #listen(port, address) {
    const { cert, key } = this.#world.server;
    const listener = createServer({ cert, key, requestCert: true, rejectUnauthorized: false });
    listener.on('secureConnection', (device) => this.#sessions.push(this.#relay(device, port)));
    listener.listen(port, address);
    this.#listeners.push(listener);
    await once(listener, 'listening');
  }

  /** Says who connects next, as it was ordered: over which transport, and with which key and certificate. */
  expect(order) {
    this.#order = order;
    this.#sessions = [];
  }

  /**
   * Returns what was said on the one connection since `expect`, once it is over:
   *
   * - `certificates`: what the device presented, as PEM; absent if nothing.
   * - `chunks`: `{ from, bytes }` in order, `from` being `device` or `service`. One is what came in one read, or in
   *   one frame of a WebSocket.
   * - `wire`: of a WebSocket, the same as it came, with the upgrade and the frames.
   */
  async finish() {
    if (this.#sessions.length !== 1) throw new Error(`${this.#sessions.length} connections, not 1`);
    return this.#sessions[0];
  }

  stop() {
    for (const listener of this.#listeners) listener.close();
  }

  async #relay(device, port) {
    const { transport, x509 } = this.#order;
    const service = connect({
      host: this.#server,
      port,
      servername: this.#world.host,
      ca: this.#world.serverAuthority.cert,
      ...x509,
    });
    const wire = [];
    const inside = [];
    const ended = Promise.all([once(device, 'close'), once(service, 'close')]);
    ended.catch(() => {});
    device.on('error', () => service.destroy());
    await once(service, 'secureConnect');
    service.on('error', () => device.destroy());

    const isWebSocket = transport.endsWith('-ws');
    const carry = (from, source, sink) => {
      const unwrapped = new Unwrapped();
      source.on('data', (bytes) => {
        wire.push({ from, bytes });
        if (isWebSocket) inside.push(...unwrapped.take(bytes).map((each) => ({ from, bytes: each })));
        sink.write(bytes);
      });
      source.on('end', () => sink.end());
    };
    const certificates = presented(device);
    carry('device', device, service);
    carry('service', service, device);
    await ended;
    return { certificates, ...(isWebSocket ? { chunks: inside, wire } : { chunks: wire }) };
  }
}

/** The chain that the device presented, leaf first. */
function presented(device) {
  const chain = [];
  let certificate = device.getPeerCertificate(true);
  while (certificate?.raw && !chain.includes(certificate.raw)) {
    chain.push(certificate.raw);
    certificate = certificate.issuerCertificate === certificate ? undefined : certificate.issuerCertificate;
  }
  return chain.length === 0 ? undefined : chain.map(pem).join('');
}

function pem(der) {
  const lines = der.toString('base64').match(/.{1,64}/g);
  return ['-----BEGIN CERTIFICATE-----', ...lines, '-----END CERTIFICATE-----', ''].join('\n');
}
