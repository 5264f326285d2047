// Files of what was said on a connection: JSON, with a line for each chunk. Bytes stand as text, a character for each
// byte, so that names and bodies can be read.

import { readFileSync, readdirSync } from 'node:fs';
import { mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { CLIENTS } from './matrix.mjs';

/**
 * Writes a capture to `directory`.
 *
 * - `each`: its case.
 * - `order`: what its device was given; its key is left out.
 * - `said`: what the recorder returned.
 */
export async function keep(directory, each, order, said) {
  const { package: sdk, version, installed } = CLIENTS[each.client];
  const capture = {
    case: each.name,
    sdk,
    version: installed?.() ?? version,
    transport: each.transport,
    credential: each.credential ?? each.refusal,
    verdict: each.kind,
    idScope: order.idScope,
    registrationId: order.registrationId,
    payload: each.payload,
    certificates: said.certificates,
    chunks: said.chunks,
    wire: said.wire,
  };
  await mkdir(directory, { recursive: true });
  await writeFile(join(directory, `${each.name.replaceAll('/', '-')}.json`), written(capture));
}

/** Reads all captures of a directory, in the order of their names, bytes as bytes. */
export function captures(directory) {
  const names = readdirSync(directory).filter((name) => name.endsWith('.json'));
  return names.sort().map((name) => {
    const capture = JSON.parse(readFileSync(join(directory, name), 'utf8'));
    const chunks = capture.chunks.map(({ from, bytes }) => ({ from, bytes: Buffer.from(bytes, 'latin1') }));
    return { ...capture, chunks };
  });
}

function written(capture) {
  const members = Object.entries(capture).filter(([, value]) => value !== undefined);
  const lines = members.map(([name, value]) => `  ${JSON.stringify(name)}: ${text(value)}`);
  return `{\n${lines.join(',\n')}\n}\n`;
}

function text(value) {
  if (!value[0]?.bytes) return ascii(JSON.stringify(value));
  const lines = value.map(({ from, bytes }) => ascii(JSON.stringify({ from, bytes: bytes.toString('latin1') })));
  return `[\n    ${lines.join(',\n    ')}\n  ]`;
}

function ascii(json) {
  return json.replace(/[\x7f-\uffff]/g, (character) => `\\u${character.charCodeAt(0).toString(16).padStart(4, '0')}`);
}
