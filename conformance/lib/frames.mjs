// What is inside a WebSocket, one direction of it.

const CONTINUATION = 0;
const TEXT = 1;
const BINARY = 2;
const DATA = [CONTINUATION, TEXT, BINARY];

/** Takes the head of HTTP and then the frames off what one side sends. */
export class Unwrapped {
  #rest = Buffer.alloc(0);
  #upgraded = false;

  /** Takes what has come, and returns what is inside the data frames that are whole by now, each by itself. */
  take(bytes) {
    this.#rest = Buffer.concat([this.#rest, bytes]);
    if (!this.#upgraded) {
      const end = this.#rest.indexOf('\r\n\r\n');
      if (end < 0) return [];
      this.#rest = this.#rest.subarray(end + 4);
      this.#upgraded = true;
    }
    const inside = [];
    for (let frame = first(this.#rest); frame; frame = first(this.#rest)) {
      this.#rest = this.#rest.subarray(frame.length);
      if (DATA.includes(frame.opcode)) inside.push(frame.payload);
    }
    return inside;
  }
}

/** The frame at the beginning of `bytes`, if it is whole. */
function first(bytes) {
  if (bytes.length < 2) return undefined;
  // No extension is ever agreed on, and only those give these bits a meaning.
  if (bytes[0] & 0x70) throw new Error('a WebSocket frame is compressed');
  const masked = (bytes[1] & 0x80) !== 0;
  const short = bytes[1] & 0x7f;
  const lengthBytes = { 126: 2, 127: 8 }[short] ?? 0;
  const head = 2 + lengthBytes + (masked ? 4 : 0);
  if (bytes.length < head) return undefined;
  const size = { 0: () => short, 2: () => bytes.readUInt16BE(2), 8: () => Number(bytes.readBigUInt64BE(2)) }[lengthBytes]();
  const length = head + size;
  if (bytes.length < length) return undefined;
  const payload = Buffer.from(bytes.subarray(head, length));
  if (masked) {
    const mask = bytes.subarray(head - 4, head);
    for (let at = 0; at < payload.length; at += 1) payload[at] ^= mask[at % 4];
  }
  return { opcode: bytes[0] & 0xf, payload, length };
}
