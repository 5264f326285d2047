# Sourced after steps.bash: PostgreSQL, and a server for one run, in the folder $POSTGRES, on a free port of the loopback
# address.

POSTGRES=
POSTGRES_USER=postgres

# Makes sure that PostgreSQL's programs are there, without a server that starts with the machine.
postgres_install() {
  local programs
  programs=$(postgres_programs) && [[ -n $programs ]] && return
  local settings=/etc/postgresql-common/createcluster.conf
  apt_install postgresql-common
  # Debian makes a cluster with the first installation, and starts it, unless this says not to.
  as_root cp "$settings" "$settings.before"
  echo 'create_main_cluster = false' | as_root tee "$settings" >/dev/null
  local status=0
  apt_install postgresql || status=$?
  as_root mv "$settings.before" "$settings"
  return "$status"
}

# Makes sure that PgBouncer is there, without one that runs with the machine. Tests start their own.
pooler_install() {
  command -v pgbouncer >/dev/null || [[ -x /usr/sbin/pgbouncer ]] && return
  apt_install pgbouncer
  if [[ -d /run/systemd/system ]]; then
    as_root systemctl disable --now pgbouncer
  fi
}

# Where initdb and pg_ctl are. The newest counts; Debian keeps each version in a folder of its own.
postgres_programs() {
  local newest
  newest=$(printf '%s\n' /usr/lib/postgresql/*/bin/initdb | sort -V | tail -n 1)
  if [[ -x $newest ]]; then
    dirname "$newest"
  elif command -v initdb >/dev/null; then
    dirname "$(command -v initdb)"
  fi
}

# postgres_run PROGRAM ARGUMENT...: one of PostgreSQL's programs. A server refuses to run as root.
postgres_run() {
  local program
  program=$(postgres_programs)/$1
  shift
  if ((EUID == 0)); then
    (cd "$POSTGRES" && runuser -u "$POSTGRES_USER" -- "$program" "$@")
  else
    "$program" "$@"
  fi
}

postgres_start() {
  postgres_install
  pooler_install
  if ((EUID == 0)); then
    chown "$POSTGRES_USER" "$POSTGRES"
  fi
  local password=$POSTGRES/password port
  # Whoever else is on this machine is not let in.
  (umask 077 && head -c 24 /dev/urandom | base64 | tr '+/' '-_' >"$password")
  chown --reference="$POSTGRES" "$password"
  local collation=(--locale C)
  # One that does not sort by bytes, where there is one: a store must not depend on it.
  if (($(postgres_run initdb --version | sed 's/[^0-9]*\([0-9]*\).*/\1/') >= 15)); then
    collation+=(--locale-provider icu --icu-locale en)
  fi
  postgres_run initdb --pgdata "$POSTGRES/data" --username postgres --pwfile "$password" --auth scram-sha-256 \
    --encoding UTF8 "${collation[@]}" --no-sync >"$POSTGRES/initdb.log" 2>&1 || {
    cat "$POSTGRES/initdb.log" >&2
    return 1
  }
  # Tests of what survives a crash have servers of their own. These databases are gone afterwards in any case.
  local settings="-c fsync=off -c full_page_writes=off -c max_connections=400 -c listen_addresses=127.0.0.1"
  local attempt
  for attempt in 1 2 3 4 5; do
    port=$((20000 + RANDOM % 10000))
    if postgres_run pg_ctl --pgdata "$POSTGRES/data" --log "$POSTGRES/log" --wait --timeout 60 \
      --options "$settings -c port=$port -c unix_socket_directories=''" start; then
      echo "postgres://postgres:$(cat "$password")@127.0.0.1:$port/postgres?sslmode=disable" >"$POSTGRES/url"
      postgres_run postgres --version
      return 0
    fi
    echo "attempt $attempt: port $port"
  done
  cat "$POSTGRES/log" >&2
  return 1
}

# The URL of the superuser of the server that was started.
postgres_url() {
  cat "$POSTGRES/url"
}

# Ends the server, and removes its folder.
postgres_stop() {
  [[ -n $POSTGRES ]] || return 0
  if [[ -e $POSTGRES/data/postmaster.pid ]]; then
    postgres_run pg_ctl --pgdata "$POSTGRES/data" --mode immediate --wait stop >/dev/null || true
  fi
  rm -rf "$POSTGRES"
}
