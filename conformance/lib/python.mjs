// The Python of the suites: a virtual environment for each, made from its `requirements.txt` once. The SDKs share one; other
// tools have their own, so that what they need does not mix with what the SDKs get.

import { spawnSync } from 'node:child_process';
import { copyFileSync, existsSync, readFileSync, rmSync } from 'node:fs';
import { fileURLToPath } from 'node:url';

const SDKS = fileURLToPath(new URL('..', import.meta.url)).replace(/\/$/, '');

/** The interpreter that has the SDKs. */
export const PYTHON = python(SDKS);

/** The interpreter of the environment in `folder`. */
export function python(folder = SDKS) {
  return `${folder}/.venv/bin/python`;
}

/** Makes the environment in `folder` unless it is there. Needs the network, which a namespace has not: call it first. */
export function makeEnvironment(folder = SDKS) {
  const requirements = `${folder}/requirements.txt`;
  const environment = `${folder}/.venv`;
  // Says that the environment is whole, and what is in it.
  const made = `${environment}/requirements.txt`;
  const wanted = readFileSync(requirements, 'utf8');
  if (existsSync(made) && readFileSync(made, 'utf8') === wanted) return;
  rmSync(environment, { recursive: true, force: true });
  run('python3', ['-m', 'venv', environment]);
  run(python(folder), ['-m', 'pip', 'install', '--quiet', '--require-hashes', '--requirement', requirements]);
  copyFileSync(requirements, made);
}

if (process.argv[1] === fileURLToPath(import.meta.url)) makeEnvironment(process.argv[2]);

function run(command, words) {
  const { status, error } = spawnSync(command, words, { stdio: ['ignore', 'inherit', 'inherit'] });
  if (status === 0) return;
  console.error(`${command} ${words.join(' ')} ended with ${error?.message ?? status}`);
  process.exit(1);
}
