#!/usr/bin/env bash
# Runs all tests of this repository on a Debian or Ubuntu machine that has only Rust on it, and installs what it
# needs: a C compiler, PostgreSQL with PgBouncer, the TPM software stack with a simulator, Node.js with npm, Python with venv, openssl,
# perl, mosquitto's clients, Qpid Proton, schemathesis. Says at the end what ran, what was skipped and why.
# Where CI=true, a skip is a failure. DPS_TEST_POSTGRES, the URL of a superuser, names a PostgreSQL server to use for
# databases; without it, one is started here, in a temporary folder, and stopped at the end.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")"
source .ci/steps.bash
source .ci/postgres.bash

NODE_AT_LEAST=18
CONFORMANCE='Conformance with the real SDKs'
POSTGRESQL='All that needs PostgreSQL: its store, the example cluster'
OPENAPI='OpenAPI documents: schemathesis finds nothing'
TPM="The device's side of TPM attestation, against a simulator"

tools() {
  command -v cargo >/dev/null || {
    echo 'Rust is not installed: see https://rustup.rs' >&2
    return 1
  }
  cargo --version
  # The cryptography is partly C.
  need cc gcc libc6-dev
}

workspace_tests() {
  local which=() tests=()
  if [[ -z ${DPS_TEST_POSTGRES:-} ]]; then
    which=(--workspace --exclude dps-tpm --exclude dps-store-postgres)
    tests=(--skip postgres)
  fi
  if cargo nextest --version >/dev/null 2>&1; then
    cargo nextest run --locked --no-fail-fast "${which[@]}" -- "${tests[@]}"
  else
    cargo test --locked --no-fail-fast --lib --bins --tests "${which[@]}" -- "${tests[@]}"
  fi
}

doc_tests() {
  cargo test --locked --no-fail-fast --doc
}

# all_assigned EXAMPLE ARGUMENT...: runs an example, with more arguments for cargo, that ends by saying so.
all_assigned() {
  local example=$1 output last
  shift
  output=$(mktemp)
  cargo run --locked --package dps-examples --example "$example" "$@" | tee "$output"
  last=$(tail -n 1 "$output")
  rm "$output"
  [[ $last =~ ^([0-9]+)\ of\ ([0-9]+)\ devices\ assigned && ${BASH_REMATCH[1]} == "${BASH_REMATCH[2]}" ]] || {
    echo "the last line does not begin with \"N of N devices assigned\": $last" >&2
    return 1
  }
}

# The crate dps-tpm is no default member of the workspace, because it needs a library of the system.
tpm_tests() {
  if cargo nextest --version >/dev/null 2>&1; then
    cargo nextest run --package dps-tpm --locked --no-fail-fast
  else
    cargo test --package dps-tpm --locked --no-fail-fast --lib --tests
  fi
  cargo test --package dps-tpm --locked --doc
}

# Not optimised, as the tests of dps-tpm are: little has to be built anew.
tpm_quickstart() {
  local output
  output=$(mktemp)
  all_assigned quickstart --features tpm | tee "$output"
  grep -q 'devices with a TPM each' "$output" || {
    echo 'no device has a TPM' >&2
    return 1
  }
  rm "$output"
}

tpm_device() {
  local transport
  for transport in https amqp amqp-ws; do
    cargo run --locked --package dps-examples --features tpm --example tpm_device -- --over "$transport"
  done
}

conformance_tools() {
  need openssl openssl
  need mosquitto_pub mosquitto-clients
  need swtpm swtpm
  # Proton's own SASL has no PLAIN, and Debian has the one it uses in a package of its own.
  /usr/bin/python3 -c 'import proton' 2>/dev/null || apt_install python3-qpid-proton libsasl2-modules
  need perl perl-base
  need unshare util-linux
  need python3 python3
  # Debian has the tools for virtual environments in a package of their own.
  python3 -c 'import ensurepip, venv' 2>/dev/null || apt_install python3-venv
  # The devices are programs for Python and Node.js. Some releases carry a Node.js older than the SDKs accept.
  need node nodejs
  need npm npm
  if ! node_at_least; then
    node_from_npm
  fi
  echo "node $(node --version), npm $(npm --version), $(python3 --version), $(openssl version)"
}

node_at_least() {
  [[ $(node --version) =~ ^v([0-9]+)\. ]] && ((BASH_REMATCH[1] >= NODE_AT_LEAST))
}

# npm carries Node.js itself, as a package for each platform.
node_from_npm() {
  local machine
  case $(uname -m) in
    x86_64) machine=x64 ;;
    aarch64) machine=arm64 ;;
    *)
      echo "Node.js $(node --version) is older than $NODE_AT_LEAST, and npm has none for $(uname -m)" >&2
      return 1
      ;;
  esac
  npm install --no-save --ignore-scripts --prefix "$NODE" "node-linux-$machine@22"
  mkdir -p "$NODE/bin"
  ln -sf "../node_modules/node-linux-$machine/bin/node" "$NODE/bin/node"
  hash -r
  node_at_least
}

conformance_packages() {
  # TSS.JS brings native code for the TPM services of Windows, which is built when installed; nothing here loads it.
  npm ci --ignore-scripts --prefix conformance
  node conformance/lib/python.mjs
}

conformance() {
  # The second is not there if what it needs is not: then its devices are left out.
  DPS_SERVE=$TARGET/release/examples/serve DPS_TPM_DEVICE=$TARGET/debug/examples/tpm_device node conformance/run.mjs
}

openapi_tool() {
  node conformance/lib/python.mjs conformance/openapi
}

openapi() {
  DPS_SERVE=$TARGET/release/examples/serve node conformance/openapi/run.mjs
}

step 'Tools' tools
((STATUS == 0)) || finish
TARGET=$(target_directory)
NODE=$TARGET/node
PATH=$NODE/bin:$PATH

if [[ -z ${DPS_TEST_POSTGRES:-} ]]; then
  POSTGRES=$(mktemp -d)
  trap postgres_stop EXIT
  section 'A PostgreSQL server for all tests'
  attempt postgres_start
  if ((STATUS == 0)); then
    DPS_TEST_POSTGRES=$(postgres_url)
    export DPS_TEST_POSTGRES
  fi
else
  step 'PgBouncer, for tests of the store in PostgreSQL' pooler_install
fi
step 'Workspace: unit and integration tests' workspace_tests
step 'Workspace: doc tests' doc_tests
step 'Example quickstart: every device is assigned' all_assigned quickstart --release
step 'Example durable: killed, and nothing is lost' all_assigned durable --release
if [[ -n ${DPS_TEST_POSTGRES:-} ]]; then
  step 'Example cluster: a node is killed, and nothing is lost' all_assigned cluster --release
else
  skip "$POSTGRESQL" 'PostgreSQL cannot be installed or started, see above'
fi

section "What $TPM, needs"
attempt tpm_tools
if ((STATUS == 0)); then
  step "$TPM" tpm_tests
  step 'Example quickstart with TPMs: every device is assigned' tpm_quickstart
  step 'Example tpm_device: a device is assigned over each transport' tpm_device
else
  skip "$TPM" 'libtss2-dev and swtpm cannot be installed'
fi

step 'Example serve: build' cargo build --release --locked --example serve
SERVE=$STATUS
section 'What the conformance suite needs'
LOG=$(mktemp)
attempt conformance_tools >"$LOG" 2>&1
cat "$LOG"
WHY=$(tail -n 1 "$LOG")
rm "$LOG"
if ((SERVE != 0)); then
  skip "$CONFORMANCE" 'the example serve does not build'
  skip "$OPENAPI" 'the example serve does not build'
elif ((STATUS != 0)); then
  skip "$CONFORMANCE" "what it needs cannot be installed: $WHY"
  skip "$OPENAPI" "what it needs cannot be installed: $WHY"
else
  step 'Conformance: install the SDKs' conformance_packages
  if ((STATUS == 0)); then
    step "$CONFORMANCE" conformance
  else
    skip "$CONFORMANCE" 'the SDKs cannot be installed'
  fi
  step 'OpenAPI documents: install schemathesis' openapi_tool
  if ((STATUS == 0)); then
    step "$OPENAPI" openapi
  else
    skip "$OPENAPI" 'schemathesis cannot be installed'
  fi
fi

finish
