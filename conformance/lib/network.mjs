// The SDKs connect to ports 443, 8883 and 5671, most of them to nothing else. Where this process may not listen there, the
// whole run moves into a user and network namespace of its own, which needs no root.

import { spawn, spawnSync } from 'node:child_process';
import { createServer } from 'node:net';

export const ADDRESS = '127.0.0.1';
export const PORT = 443;
export const MQTT_PORT = 8883;
export const AMQP_PORT = 5671;
export const PORTS = [PORT, MQTT_PORT, AMQP_PORT];

/** Where operators are served who have a port of their own. */
export const OPERATORS_PORT = 8443;

/** Where the server listens while somebody listens in its place; also the loopback. */
export const BEHIND = '127.0.0.2';

/** The exit status that says: this machine cannot run the suite at all, and nothing was tried. */
export const CANNOT_RUN_HERE = 77;

const INSIDE = 'DPS_CONFORMANCE_INSIDE';

// A new network namespace has its loopback down. perl-base is on every Debian and Ubuntu, iproute2 is not:
// 0x8914 is SIOCSIFFLAGS, 1 is IFF_UP.
const LOOPBACK_UP =
  'socket(my $s, 2, 2, 0) or die "socket: $!\\n";' +
  'my $request = pack("a16 s x22", "lo", 1);' +
  'ioctl($s, 0x8914, $request) or die "loopback: $!\\n";' +
  'exec @ARGV or die "exec: $!\\n";';

/**
 * Makes sure that the ports can be listened on.
 *
 * Returns a sentence saying how. Does not return where the run had to move: the process then ends with the exit
 * status of the run inside, or with `CANNOT_RUN_HERE`.
 */
export async function settle() {
  const all = [...PORTS, OPERATORS_PORT];
  const ports = `ports ${all.join(', ')}`;
  if (process.env[INSIDE]) return `${ports} of a network namespace of its own (${process.env[INSIDE]})`;
  const obstacles = process.env.DPS_CONFORMANCE_NAMESPACE === 'always' ? ['asked to'] : await Promise.all(all.map(whyNot));
  const obstacle = obstacles.find((each) => each !== undefined);
  if (!obstacle) return `${ports} of this machine's loopback`;

  const tried = [];
  for (const way of [['unshare', '-rn'], ['unshare', '-n'], ['sudo', '-n', 'unshare', '-n']]) {
    const attempt = spawnSync(way[0], [...way.slice(1), 'perl', '-e', LOOPBACK_UP, 'true'], { encoding: 'utf8' });
    if (attempt.status === 0) process.exit(await moved(way));
    tried.push(`${way.join(' ')}: ${attempt.error?.message ?? attempt.stderr.trim()}`);
  }
  console.error(`${ports} of ${ADDRESS} may not be listened on (${obstacle}), and no network namespace can be made:`);
  for (const line of tried) console.error(`  ${line}`);
  process.exit(CANNOT_RUN_HERE);
}

function whyNot(port) {
  return new Promise((resolve) => {
    const probe = createServer();
    probe.once('error', (error) => resolve(`${port}: ${error.code}`));
    probe.listen(port, ADDRESS, () => probe.close(() => resolve(undefined)));
  });
}

function moved(way) {
  const [command, ...rest] = way;
  const kept = ['DPS_SERVE', 'DPS_TPM_DEVICE'].map((name) => `${name}=${process.env[name] ?? ''}`);
  const node = ['env', `${INSIDE}=${way.join(' ')}`, ...kept, process.execPath];
  const child = spawn(command, [...rest, 'perl', '-e', LOOPBACK_UP, ...node, ...process.argv.slice(1)], {
    stdio: 'inherit',
  });
  return new Promise((resolve) => child.once('exit', (code) => resolve(code ?? 1)));
}
