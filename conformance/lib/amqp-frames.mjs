// What one side of a connection of AMQP says, frame by frame.

const HEADER_BYTES = 8;
const SASL = 1;
// What is in a frame is described by one byte, which is the third.
const SMALL_CODE = 0x53;
const KINDS = {
  0x10: 'open',
  0x11: 'begin',
  0x12: 'attach',
  0x13: 'flow',
  0x14: 'transfer',
  0x15: 'disposition',
  0x16: 'detach',
  0x17: 'end',
  0x18: 'close',
  0x40: 'sasl-mechanisms',
  0x41: 'sasl-init',
  0x44: 'sasl-outcome',
};

/** Returns `{ kind, bytes, body, payload }` for each frame: `payload` is what stands behind the body of a transfer. */
export function frames(bytes) {
  const all = [];
  for (let rest = bytes; rest.length > 0; ) {
    if (rest.subarray(0, 4).toString() === 'AMQP') {
      rest = rest.subarray(HEADER_BYTES);
      continue;
    }
    const whole = rest.subarray(0, rest.readUInt32BE(0));
    rest = rest.subarray(whole.length);
    all.push(frame(whole));
  }
  return all;
}

function frame(bytes) {
  const inside = bytes.subarray(bytes[4] * 4);
  if (inside.length === 0) return { kind: 'empty', bytes, body: inside };
  if (inside[0] !== 0 || inside[1] !== SMALL_CODE) throw new Error('a performative without a short descriptor');
  const kind = KINDS[inside[2]];
  if (!kind || kind.startsWith('sasl') !== (bytes[5] === SASL)) throw new Error(`performative ${inside[2]}`);
  const length = 3 + listLength(inside.subarray(3));
  return { kind, bytes, body: inside.subarray(0, length), payload: inside.subarray(length) };
}

function listLength(list) {
  switch (list[0]) {
    case 0x45:
      return 1;
    case 0xc0:
      return 2 + list[1];
    case 0xd0:
      return 5 + list.readUInt32BE(1);
    default:
      throw new Error(`a list begins with ${list[0]}`);
  }
}
