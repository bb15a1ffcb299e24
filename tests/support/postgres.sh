#!/usr/bin/env bash
# A real PostgreSQL for the tests, of the machine's own package, in a folder of the caller's; the
# machine's own clusters are left alone.
#   postgres.sh start DIR      a new cluster on a free port; DIR/connection says where
#   postgres.sh crash DIR      ends it as a power cut would (pg_ctl stop -m immediate)
#   postgres.sh fast DIR       ends it as a restart by hand would: sessions are told, and rolled back
#   postgres.sh kill DIR       kills its first process alone (kill -9): sessions end when they notice
#   postgres.sh up DIR         starts it again, on the same port
#   postgres.sh stop DIR       ends it for good
set -euo pipefail
source "$(dirname "${BASH_SOURCE[0]}")/free_ports.sh"
say() { printf 'postgres: %s\n' "$*" >&2; }
case "${1:-}" in start | crash | fast | kill | up | stop) ;; *) sed -n '4,9p' "$0" >&2; exit 64 ;; esac
dir=$(realpath -m "${2:?the folder}")

bin=$(ls -d /usr/lib/postgresql/*/bin 2>/dev/null | sort -t/ -k5 -n | tail -1)
[ -x "${bin:-}/initdb" ] || { say "no server below /usr/lib/postgresql: apt-get install postgresql, or ./run test"; exit 1; }

# The server refuses to run as root: the package's own user then.
unprivileged() {
    if [ "$(id -u)" = 0 ]; then (cd / && exec setpriv --reuid=postgres --regid=postgres --clear-groups env HOME=/ "$@"); else "$@"; fi
}

data() { cat "$dir/data"; }

# Where process 1 is no init nobody waits for them: a zombie has ended.
is_any_alive() { [ -n "$(ps -o stat= -p "$1" | grep -v '^Z')" ]; } # PID,…

up() {
    # Sessions that outlived a killed server hold its memory until they have noticed.
    local tries=0
    while [ -s "$dir/orphans" ] && is_any_alive "$(paste -sd, "$dir/orphans")"; do
        [ $((tries += 1)) -lt 300 ] || { say "sessions of the killed server do not end: $(paste -sd' ' "$dir/orphans")"; exit 1; }
        sleep 0.1
    done
    # The server takes a zombie for another server: its lock goes with the last of them.
    [ -e "$dir/orphans" ] && rm -f -- "$dir/orphans" "$(data)/postmaster.pid"
    # -W would not wait for recovery; a session of its own leaves the end to `stop`.
    unprivileged "$bin/pg_ctl" -D "$(data)" -l "$(data)/log" -s -w -t 60 start </dev/null >/dev/null 2>&1 ||
        { tail -20 "$(data)/log" >&2; say "does not start"; exit 1; }
}

end() { # MODE
    [ -e "$dir/data" ] || return 0
    unprivileged "$bin/pg_ctl" -D "$(data)" -s -w -t 60 stop -m "$1" >/dev/null 2>&1 || true
}

kill_first() {
    local pid
    pid=$(head -1 "$(data)/postmaster.pid")
    pgrep -P "$pid" >"$dir/orphans" || true
    kill -9 "$pid"
}

start() {
    stop; mkdir -p "$dir"
    local home port
    home=$dir/cluster
    mkdir -p "$home"
    if [ "$(id -u)" = 0 ]; then
        chown postgres "$home"
        if ! unprivileged test -w "$home"; then # a build folder below somebody's closed home
            rmdir "$home"; home=$(mktemp -d /tmp/sluice-postgres-XXXXXX); chown postgres "$home"
        fi
    fi
    chmod 700 "$home"
    echo "$home" >"$dir/data"
    unprivileged "$bin/initdb" -D "$home" -U sluice -A trust -E UTF8 --locale=C --no-sync >"$dir/initdb.log" 2>&1 ||
        { tail -20 "$dir/initdb.log" >&2; exit 1; }
    port=$(free_ports 1)
    # What is tested is what a dead process leaves: the page cache outlives it without fsync.
    cat >>"$home/postgresql.conf" <<CONF
port = $port
listen_addresses = '127.0.0.1'
unix_socket_directories = ''
fsync = ${SLUICE_TEST_FSYNC:-off}
shared_buffers = 128MB
max_wal_size = 2GB
CONF
    # One user has a password, to be wrong about; on top, since the first line that fits counts.
    sed -i '1i host all locked 127.0.0.1/32 scram-sha-256' "$home/pg_hba.conf"
    up
    echo "postgresql://sluice@127.0.0.1:$port/postgres" >"$dir/connection"
    say "$("$bin/postgres" --version) at port $port"
}

stop() {
    end fast
    [ -e "$dir/data" ] && rm -rf -- "$(data)"
    rm -rf -- "$dir/data" "$dir/connection" "$dir/initdb.log" "$dir/orphans"
}

case "$1" in
    start) start ;;
    crash) end immediate ;;
    fast) end fast ;;
    kill) kill_first ;;
    up) up ;;
    stop) stop ;;
esac
