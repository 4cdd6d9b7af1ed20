#!/bin/sh
# A private Docker Engine for tests, beside whatever engine the machine has:
#
#   tools/engine.sh start DIR   starts it and prints DOCKER_HOST; one that runs there already is taken as it is
#   tools/engine.sh stop DIR    ends it with its containers and removes DIR; nothing happens where nothing is
#
# Everything of it lies in DIR: socket, images, log. It has no bridge network and touches no firewall rule, so that containers and
# the RUN steps of builds have `--network host` or `none`. It needs root, and the programs of tools/peers/engines.sh.
set -eu

name=engine
# shellcheck source=tools/lib.sh
. "$(dirname "$0")/lib.sh"

# Seconds; on an idle machine it is up within one, and gone within two.
START=30
STOP=20

bin="${XDG_CACHE_HOME:-$HOME/.cache}/schleuse/peers/bin"
# dockerd looks for containerd and runc in PATH.
PATH="$PATH:/usr/sbin:/sbin"

usage() {
    echo 'usage: tools/engine.sh start DIR | stop DIR' >&2
    exit 2
}

docker() { timeout 5 "$bin/docker" --host "$host" "$@" 2>/dev/null; }

# within SECONDS COMMAND...: whether it succeeds in that time, asked ten times a second.
within() {
    end=$(($(date +%s) + $1))
    shift
    until "$@"; do
        [ "$(date +%s)" -le "$end" ] || return 1
        sleep 0.1
    done
}

# The engine's process, if it lives: the id may be another's by now, so its arguments must name our socket.
engine_pid() {
    pid=$(cat "$dir/docker.pid" 2>/dev/null) || return 1
    case "$(tr '\0' ' ' <"/proc/$pid/cmdline" 2>/dev/null)" in
    *dockerd*" unix://$dir/docker.sock "*) echo "$pid" ;;
    *) return 1 ;;
    esac
}

ended() { ! engine_pid >/dev/null; }
answers() { docker version >/dev/null; }
up_or_dead() { answers || ! kill -0 "$started" 2>/dev/null; }

# Layers can be stacked only where the file system allows it, which another overlay does not.
storage_driver() {
    (
        cd "$(mktemp -d "$dir/try.XXXXXX")"
        mkdir lower upper work merged
        if mount -t overlay overlay -o lowerdir=lower,upperdir=upper,workdir=work merged 2>/dev/null; then
            umount merged
            echo overlay2
        else
            say "no overlay file system can be mounted in $dir: each layer is copied instead (vfs: slow, and takes space)"
            echo vfs
        fi
    )
    rm -rf "$dir"/try.*
}

start() {
    if engine_pid >/dev/null && within 5 answers; then
        printf '%s\n' "$host"
        return
    fi
    [ -x "$bin/dockerd" ] && [ -x "$bin/docker" ] || die "Docker Engine is not here" "run tools/peers/engines.sh"
    # A socket's path has at most 107 bytes (unix(7)).
    [ "${#dir}" -le 90 ] || die "$dir is too long for a socket's path" "take a folder nearer to /tmp"
    # One that does not answer, and what is left of one that was killed.
    stop
    mkdir -p "$dir"
    : >"$mark"
    # Not the machine's configuration: what it sets may not be set a second time by a flag.
    echo '{}' >"$dir/daemon.json"
    # A namespace of our own, should it be the machine's containerd that runs the containers. A session of its own: Ctrl-C is for
    # the tests, which then stop it. The socket is for who asked by sudo, not for the group `docker`.
    setsid "$bin/dockerd" --config-file "$dir/daemon.json" --host "$host" --data-root "$dir/data" --exec-root "$dir/exec" \
        --pidfile "$dir/docker.pid" --storage-driver "$(storage_driver)" --bridge none --iptables=false --ip6tables=false \
        --containerd-namespace "$namespace" --containerd-plugins-namespace "$namespace-plugins" \
        --group "${SUDO_GID:-0}" </dev/null >"$dir/log" 2>&1 &
    started=$!
    if ! within "$START" up_or_dead || ! answers; then
        kill -9 "$started" 2>/dev/null || true
        tail -n 5 "$dir/log" >&2
        clean
        die "the engine did not start; the end of its log is above"
    fi
    printf '%s\n' "$host"
}

# Kills what a killed engine has left: its containers' first processes, each with all that runs in it, and their shims.
kill_left() {
    for process in /proc/[0-9]*; do
        case "$(tr '\0' ' ' <"$process/cmdline" 2>/dev/null)" in
        containerd\ *"$dir/exec/"* | *containerd-shim*" -namespace $namespace"*)
            shim=${process#/proc/}
            # shellcheck disable=SC2046 # a list of ids
            kill -9 $(cat "/proc/$shim/task/$shim/children" 2>/dev/null) "$shim" 2>/dev/null || true
            ;;
        esac
    done
}

# Removes DIR with all that is mounted in it.
clean() {
    kill_left
    # The deepest first. A space is written \040 there.
    awk '{ print $2 }' /proc/mounts | while read -r at; do printf '%b\n' "$at"; done | sort -r | while read -r at; do
        case "$at" in "$dir"/*) umount -l "$at" ;; esac
    done
    rm -rf "$dir"
}

stop() {
    [ -e "$dir" ] || return 0
    [ -f "$mark" ] || rmdir "$dir" 2>/dev/null || die "$dir has something in it, and it is not an engine's" "take another folder"
    if pid=$(engine_pid); then
        # Whoever wanted them to end in good order has stopped them. The names are words, one argument each.
        # shellcheck disable=SC2046
        docker kill $(docker ps --quiet) >/dev/null || true
        kill "$pid" 2>/dev/null || true
        if ! within "$STOP" ended; then
            say "the engine does not end: killed"
            kill -9 "$pid" 2>/dev/null || true
            within 5 ended || die "the engine cannot be killed: process $pid"
        fi
    fi
    clean
}

[ $# = 2 ] && [ -n "$2" ] || usage
[ "$(id -u)" = 0 ] || die "a Docker Engine of one's own needs root" "sudo --preserve-env=HOME,XDG_CACHE_HOME tools/engine.sh $1 $2"
dir=$(realpath -m -- "$2")
host="unix://$dir/docker.sock"
mark="$dir/.schleuse-engine"
namespace="schleuse-$(printf '%s' "$dir" | cksum | cut -d ' ' -f 1)"
case "$1" in
start) start ;;
stop) stop ;;
*) usage ;;
esac
