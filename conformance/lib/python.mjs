// The Python of the devices: a virtual environment beside this suite, made from `requirements.txt` once.

import { spawnSync } from 'node:child_process';
import { copyFileSync, existsSync, readFileSync, rmSync } from 'node:fs';
import { fileURLToPath } from 'node:url';

const here = (path) => fileURLToPath(new URL(path, import.meta.url));
const REQUIREMENTS = here('../requirements.txt');
const ENVIRONMENT = here('../.venv');
// Says that the environment is whole, and what is in it.
const MADE = `${ENVIRONMENT}/requirements.txt`;

/** The interpreter that has the SDK. */
export const PYTHON = `${ENVIRONMENT}/bin/python`;

/** Makes the environment unless it is there. Needs the network, which a namespace has not: call it first. */
export function makeEnvironment() {
  const wanted = readFileSync(REQUIREMENTS, 'utf8');
  if (existsSync(MADE) && readFileSync(MADE, 'utf8') === wanted) return;
  rmSync(ENVIRONMENT, { recursive: true, force: true });
  run('python3', ['-m', 'venv', ENVIRONMENT]);
  run(PYTHON, ['-m', 'pip', 'install', '--quiet', '--require-hashes', '--requirement', REQUIREMENTS]);
  copyFileSync(REQUIREMENTS, MADE);
}

if (process.argv[1] === fileURLToPath(import.meta.url)) makeEnvironment();

function run(command, words) {
  const { status, error } = spawnSync(command, words, { stdio: ['ignore', 'inherit', 'inherit'] });
  if (status === 0) return;
  console.error(`${command} ${words.join(' ')} ended with ${error?.message ?? status}`);
  process.exit(1);
}
