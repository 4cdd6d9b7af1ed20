#!/bin/sh
# Throwaway PostgreSQL clusters, for tests and for tools/schema_compat_check.sh:
#
#   tools/postgres.sh start [--database NAME] DIR   starts one in DIR (new, or empty) and prints a superuser's URL
#   tools/postgres.sh stop DIR                      stops it and removes DIR; does nothing where DIR is gone
#   tools/postgres.sh bin [PROGRAM]                 prints the folder of the newest PostgreSQL, 15 or later, that has PROGRAM
#                                                   (default: the server)
#
# A cluster listens on 127.0.0.1, on a free port, and on a socket in DIR; both ask for a random password (scram-sha-256). With
# --database the URL names that database, made for the purpose. The server refuses to run as root: root runs it as `postgres` or
# `nobody`, who gets DIR and must be able to reach it. Exit codes: 0 done, 1 not done, 2 wrong usage.
set -eu
# Messages are read below, and error texts are compared: in English.
export LC_ALL=C
# A caller's PGPORT and the like are meant for another server.
unset PGHOST PGHOSTADDR PGPORT PGUSER PGDATABASE PGOPTIONS PGSERVICE PGSSLMODE PGCHANNELBINDING PGREQUIREAUTH PGDATA

name=postgres
# shellcheck source=tools/lib.sh
. "$(dirname "$0")/lib.sh"

OLDEST=15      # The oldest major version with what the tests use (NULLS NOT DISTINCT).
TRIES=20       # Ports that are tried before we say that something else is wrong.
START_TIMEOUT=60 # Seconds; a start takes less than one on an idle machine.
STOP_TIMEOUT=10 # Seconds for a fast shutdown, then as many for an immediate one.

# Only a folder with this file in it is ever removed.
MARK=.throwaway-postgres

usage() {
    printf 'usage: tools/postgres.sh start [--database NAME] DIR | stop DIR | bin [PROGRAM]\n' >&2
    exit 2
}

# The major version of the program $1, or nothing: `psql (PostgreSQL) 15.18 (Debian 15.18-0)`.
major() {
    words=$("$1" --version 2>/dev/null) || return 0
    words=${words#*PostgreSQL) }
    echo "${words%%[!0-9]*}"
}

# The folder of the newest PostgreSQL that has the program $1.
find_bin() {
    found=""
    newest=$((OLDEST - 1))
    # A link leads to the folder with the other programs. Debian's leads to a wrapper, which chooses among the folders below.
    here=$(readlink -f "$(command -v "$1" || true)" 2>/dev/null || true)
    [ "${here##*/}" = "$1" ] || here=""
    for dir in /usr/lib/postgresql/*/bin "${here%/*}"; do
        [ -n "$dir" ] && [ -x "$dir/$1" ] && [ "$dir" != "$found" ] || continue
        version=$(major "$dir/$1")
        if [ "${version:-0}" -gt "$newest" ]; then
            newest=$version
            found=$dir
        fi
    done
    [ -n "$found" ] || die "no PostgreSQL $OLDEST or later with \`$1\` is on this machine" "run \`tools/peers/service.sh\`"
    printf '%s\n' "$found"
}

# Runs a command as the server's user, with nothing of the caller's groups.
as_server() {
    if [ -z "$user" ]; then
        "$@"
    else
        setpriv --reuid "$user" --regid "$(id -g "$user")" --clear-groups -- "$@"
    fi
}

# Whom the server runs as: nobody else than the caller, unless that is root.
server_user() {
    [ "$(id -u)" = 0 ] || return 0
    for candidate in postgres nobody; do
        id "$candidate" >/dev/null 2>&1 && echo "$candidate" && return
    done
    die "PostgreSQL does not run as root, and here is neither a user \`postgres\` nor \`nobody\`"
}

random_hex() { od -An -v -N "$1" -tx1 /dev/urandom | tr -d ' \n'; }

# Below 32768, from where kernels hand out ports to outgoing connections. Whether it is free, the server's start tells: to look
# first would leave a moment for somebody else to take it.
random_port() { echo $((20000 + $(od -An -N2 -tu2 /dev/urandom) % 10000)); }

# The process of the cluster in $1, if it runs: its number may have gone to somebody else since it was written down.
server_pid() {
    pid=$(sed -n 1p "$1/data/postmaster.pid" 2>/dev/null) || return 1
    case $pid in '' | *[!0-9]*) return 1 ;; esac
    tr '\0' ' ' 2>/dev/null <"/proc/$pid/cmdline" | grep -qF "$1/data" && echo "$pid"
}

configure() {
    cat >>"$1/data/postgresql.conf" <<'CONF'
listen_addresses = '127.0.0.1'
# Relative to the data folder: however long DIR is, this stays below the 107 bytes that a socket's path may have.
unix_socket_directories = '..'
unix_socket_permissions = 0700
# Nobody wants these data back after a crash, and syncing is most of the time that tests with a database take.
fsync = off
synchronous_commit = off
full_page_writes = off
max_wal_size = '128MB'
shared_buffers = '32MB'
jit = off
timezone = 'UTC'
log_timezone = 'UTC'
CONF
}

# Starts the server of the cluster in $1 on a free port: sets `port`.
launch() {
    launching=yes
    tries=0
    while [ "$tries" -lt "$TRIES" ]; do
        tries=$((tries + 1))
        port=$(random_port)
        rm -f "$1/log"
        as_server "$bin/pg_ctl" -D "$1/data" -l "$1/log" -o "-p $port" -w -t "$START_TIMEOUT" start >/dev/null 2>&1 && return
        grep -q 'Address already in use' "$1/log" 2>/dev/null || break
    done
    tail -n 5 "$1/log" >&2 2>/dev/null || true
    die "PostgreSQL does not start in $1"
}

# What a start that fails, or that is ended, leaves behind: nothing.
abandon() {
    status=$?
    if [ "$status" != 0 ]; then
        # pg_ctl may be gone before the server has written down its number.
        [ -z "$launching" ] || server_pid "$dir" >/dev/null || sleep 1
        stop "$dir"
    fi
    exit "$status"
}

start() {
    database=postgres
    if [ "${1:-}" = --database ]; then
        [ $# -ge 2 ] || usage
        database=$2
        shift 2
        case $database in '' | [0-9]* | *[!a-z0-9_]*) die "a database's name is small letters, digits and \`_\`" ;; esac
    fi
    [ $# = 1 ] || usage
    # pg_ctl hands the path to a shell, in double quotes.
    case $1 in '' | -* | *[!A-Za-z0-9_./@+,:=\ -]*) die "DIR has characters that pg_ctl cannot take" ;; esac
    mkdir -p "$1"
    dir=$(cd "$1" && pwd -P)
    [ -z "$(ls -A "$dir")" ] || die "$dir is not empty"
    bin=$(find_bin postgres)
    user=$(server_user)

    launching=""
    trap abandon EXIT
    trap 'exit 130' INT
    trap 'exit 143' TERM
    : >"$dir/$MARK"
    [ -z "$user" ] || chown "$user" "$dir"
    chmod 700 "$dir"
    # Nor may initdb stand in a folder that its user cannot read.
    cd "$dir"
    as_server test -w "$dir" || die "the user \`$user\`, as whom root runs PostgreSQL, cannot reach $dir" \
        "take a folder whose parents everybody may pass through, such as \`mktemp -d\` makes in /tmp"

    password=$(random_hex 24)
    (umask 077 && printf '%s\n' "$password" >"$dir/password")
    [ -z "$user" ] || chown "$user" "$dir/password"
    locale=$(locale -a 2>/dev/null | grep -ixm 1 'C\.utf-\{0,1\}8' || echo C)
    as_server "$bin/initdb" -D "$dir/data" -U postgres -A scram-sha-256 --pwfile="$dir/password" -E UTF8 --locale="$locale" \
        --no-sync --no-instructions >"$dir/initdb.log" 2>&1 || { cat "$dir/initdb.log" >&2; die "initdb failed in $dir"; }
    rm -f "$dir/password" "$dir/initdb.log"
    configure "$dir"
    launch "$dir"
    if [ "$database" != postgres ]; then
        PGPASSWORD=$password PGCONNECT_TIMEOUT=10 "$bin/psql" -X -q -w -h 127.0.0.1 -p "$port" -U postgres -d postgres \
            -c "CREATE DATABASE $database" >&2 || die "cannot create the database $database"
    fi
    printf 'postgres://postgres:%s@127.0.0.1:%s/%s\n' "$password" "$port" "$database"
}

# Sends the signal $2 to the server of $1 and waits until it is gone.
end() {
    pid=$(server_pid "$1") || return 0
    kill -s "$2" "$pid" 2>/dev/null || true
    waited=0
    while [ "$waited" -lt $((STOP_TIMEOUT * 10)) ]; do
        server_pid "$1" >/dev/null || return 0
        sleep 0.1
        waited=$((waited + 1))
    done
    return 1
}

stop() {
    [ -d "$1" ] || return 0
    cluster=$(cd "$1" && pwd -P)
    if [ ! -e "$cluster/$MARK" ]; then
        rmdir "$cluster" 2>/dev/null && return
        die "$cluster is no folder that \`tools/postgres.sh start\` made: it stays as it is"
    fi
    cd /
    # Fast: sessions are ended; immediate: the server does not even tidy up.
    end "$cluster" INT || end "$cluster" QUIT || die "the server in $cluster does not stop"
    rm -rf "$cluster"
}

[ $# -ge 1 ] || usage
verb=$1
shift
case $verb in
start) start "$@" ;;
stop)
    [ $# = 1 ] && [ -n "$1" ] || usage
    stop "$1"
    ;;
bin)
    [ $# -le 1 ] || usage
    find_bin "${1:-postgres}"
    ;;
*) usage ;;
esac
