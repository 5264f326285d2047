// The table of results, for people and for the README.

import { CLIENTS, MODES, TRANSPORTS } from './matrix.mjs';

const HEAD = ['SDK', 'Version', 'Transport', 'Credential', 'Payload', 'Mode', 'Exchanges', 'Result'];

/** The rows of the table, in the order of the cases. */
export function rows(results) {
  return results.map(({ each, verdict, exchanges }) => {
    const client = CLIENTS[each.client] ?? { title: '`serve`, SIGTERM ends it with status 0', version: '' };
    const tls = each.transport === 'https' ? `, ${each.tls.replace('v', ' ')}` : '';
    const transport = each.transport ? TRANSPORTS[each.transport] + tls : 'HTTPS, MQTT, AMQP';
    const wanted = {
      accepted: 'assigned',
      refused: each.transport?.startsWith('amqp') && each.proof !== 'certificate' ? 'refused by SASL' : 'refused, 401',
      disabled: 'disabled',
      told: String(each.expected?.status),
      command: each.expected?.result,
      operator: 'done',
      stop: 'exit 0',
    }[each.kind];
    const result = { passed: wanted, failed: 'FAILED', off: 'switched off' }[verdict];
    const count = exchanges === undefined ? '' : String(exchanges);
    return [client.title, client.version, transport, each.row?.credential ?? '', each.row?.payload ?? '', each.mode, count, result];
  });
}

/** The table in columns for a terminal. */
export function plain(results) {
  const table = [HEAD, ...rows(results)];
  const widths = HEAD.map((_, column) => Math.max(...table.map((row) => row[column].length)));
  return table.map((row) => row.map((cell, column) => cell.padEnd(widths[column])).join('  ').trimEnd()).join('\n');
}

/**
 * The table as a section of Markdown, all modes of a case in one row: the same text for the same results, on every
 * machine.
 */
export function markdown(results, switchedOff) {
  const modes = Object.entries(MODES);
  const merged = new Map();
  for (const [index, row] of rows(results).entries()) {
    const [client, version, transport, credential, payload, mode, exchanges, result] = row;
    const key = JSON.stringify([client, version, transport, credential, payload]);
    const count = results[index].each.kind === 'accepted' && exchanges ? `, exchanges: ${exchanges}` : '';
    merged.set(key, { ...merged.get(key), [mode]: result + count });
  }
  const line = (cells) => `| ${cells.join(' | ')} |`;
  const head = [...HEAD.slice(0, 5), ...modes.map(([, { title }]) => title)];
  const body = [...merged].map(([key, cells]) => line([...JSON.parse(key), ...modes.map(([mode]) => cells[mode] ?? '')]));
  const off = switchedOff.map(({ case: name, reason }) => `- \`${name}\`: ${reason}`);
  return [
    '<!-- Written by conformance/run.mjs. -->',
    line(head),
    line(head.map(() => '---')),
    ...body,
    '',
    off.length ? 'Switched off:' : 'No case is switched off.',
    ...off,
    '',
  ].join('\n');
}
