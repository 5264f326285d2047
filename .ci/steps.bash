# Sourced by test.sh and .ci/run: steps with a time each, skips with a reason, and one summary at the end.
# A failed step does not keep the others from running; the summary and the exit status tell.

STEPS=()
STATUS=0
FAILED=0
SKIPPED=0

# The line that opens a section.
section() {
  printf '\n=== %s ===\n' "$*"
}

# attempt COMMAND...: runs a command and leaves how it ended in STATUS. It returns 0 always, because bash forgets
# `set -e` in everything that runs as a condition: never call it, or `step`, after `if`, `!`, `&&` or `||`.
attempt() {
  set +e
  (
    set -e
    "$@"
  )
  STATUS=$?
  set -e
}

# step NAME COMMAND...: attempts a command and notes how it ended and how long it took. A command that ends with 77
# says that this machine cannot run it.
step() {
  local name=$1 began=$SECONDS
  shift
  section "$name"
  printf '$ %s\n' "$*"
  attempt "$@"
  local took=$((SECONDS - began))
  case $STATUS in
    0)
      STEPS+=("$(printf 'passed   %4d s  %s' "$took" "$name")")
      ;;
    77)
      STEPS+=("$(printf 'skipped  %4d s  %s: this machine cannot run it, see above' "$took" "$name")")
      SKIPPED=$((SKIPPED + 1))
      ;;
    *)
      STEPS+=("$(printf 'FAILED   %4d s  %s (status %d)' "$took" "$name" "$STATUS")")
      FAILED=$((FAILED + 1))
      ;;
  esac
}

# skip NAME REASON: notes that a step did not run. Where CI=true that is a failure.
skip() {
  section "$1"
  printf 'skipped: %s\n' "$2"
  STEPS+=("skipped          $1: $2")
  SKIPPED=$((SKIPPED + 1))
}

# Prints the summary and ends the script.
finish() {
  section "Summary of $(basename "$0")"
  printf '%s\n' "${STEPS[@]}"
  printf '\n%d steps, %d failed, %d skipped, %d s in all\n' "${#STEPS[@]}" "$FAILED" "$SKIPPED" "$SECONDS"
  if ((FAILED > 0)); then
    exit 1
  fi
  if ((SKIPPED > 0)) && [[ ${CI:-} == true ]]; then
    echo 'CI=true: what is skipped here counts as failed.'
    exit 1
  fi
  exit 0
}

# as_root COMMAND...: runs a command as root, through sudo where needed.
as_root() {
  if ((EUID == 0)); then
    "$@"
  else
    sudo "$@"
  fi
}

# apt_install PACKAGE...: installs Debian packages, as root or through sudo.
apt_install() {
  command -v apt-get >/dev/null || {
    echo "this machine has no apt-get to install with: $*" >&2
    return 1
  }
  ((EUID == 0)) || command -v sudo >/dev/null || {
    echo "neither root nor sudo, cannot install: $*" >&2
    return 1
  }
  as_root env DEBIAN_FRONTEND=noninteractive apt-get update -qq &&
    as_root env DEBIAN_FRONTEND=noninteractive apt-get install -y --no-install-recommends "$@"
}

# need COMMAND PACKAGE...: makes sure that a command is there.
need() {
  local tool=$1
  shift
  command -v "$tool" >/dev/null || apt_install "$@"
}

# The TPM software stack, and a simulator to use it with: for dps-tpm, and for examples with the feature tpm.
tpm_tools() {
  need pkg-config pkg-config
  pkg-config --exists tss2-esys tss2-mu tss2-sys tss2-tctildr || apt_install libtss2-dev
  need swtpm swtpm swtpm-tools
  swtpm --version
}

# What the FIPS build of AWS-LC is built with.
fips_tools() {
  need cc gcc libc6-dev
  need cmake cmake
  need go golang-go
  cmake --version | head -n 1
  go version
}

# Where cargo puts what it builds.
target_directory() {
  cargo metadata --format-version 1 --no-deps --locked | sed -n 's/.*"target_directory":"\([^"]*\)".*/\1/p'
}
