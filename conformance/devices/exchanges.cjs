// What a device really sent and was really answered, seen from inside its own process without touching the
// client: Node.js announces every finished HTTP exchange on a diagnostics channel.
'use strict';

const channel = require('node:diagnostics_channel');

const exchanges = [];

channel.subscribe('http.client.response.finish', ({ request, response }) => {
  const exchange = {
    method: request.method,
    path: request.path,
    tls: response.socket.getProtocol(),
    status: response.statusCode,
    reason: response.statusMessage,
    headers: response.headers,
    body: '',
  };
  exchanges.push(exchange);
  response.on('data', (chunk) => {
    exchange.body += chunk;
  });
});

/** Reads the one JSON order a device gets on standard input. */
async function order() {
  let text = '';
  for await (const chunk of process.stdin) text += chunk;
  return JSON.parse(text);
}

/** Runs the device and prints the one JSON line the runner waits for. */
async function report(run) {
  let outcome;
  try {
    outcome = { state: await run() };
  } catch (error) {
    outcome = { error: { name: error.name, message: error.message, status: error.response?.statusCode } };
  }
  process.stdout.write(JSON.stringify({ ...outcome, exchanges }) + '\n');
}

module.exports = { exchanges, order, report };
