#!/bin/sh
# Installs BuildKit as the builder `buildx` needs it, in pinned versions, from the Go module proxy (checked by Go's checksum database):
#
#   buildx 0.29.1      the plugin `docker buildx`
#   buildkitd 0.25.1   BuildKit's daemon: Docker Engine before 29 cannot write an image into a file by itself
#
# Debian 12 has neither. Building them takes some minutes and 3 GB of disk meanwhile, once. Into
# ${XDG_CACHE_HOME:-$HOME/.cache}/schleuse/peers: `cli-plugins/docker-buildx`, to be used by DOCKER_CONFIG, and bin/buildkitd.
# Prints the folder of programs on stdout, and what it does on stderr, before it does it. Quick when all is there.
#
# Nothing is started here: the tests start a daemon of their own, which needs root and runc (tools/peers/engines.sh).
set -eu

BUILDX=0.29.1
BUILDKIT=0.25.1

peers="${XDG_CACHE_HOME:-$HOME/.cache}/schleuse/peers"
bin="$peers/bin"

name=buildkit
# shellcheck source=tools/lib.sh
. "$(dirname "$0")/../lib.sh"

# installed FILE VERSION
installed() { [ -x "$1" ] && [ "$(cat "$1.version" 2>/dev/null)" = "$2" ]; }

# build MODULE VERSION COMMAND FILE: whole or not at all. `go install` refuses a module that excludes versions, and both do: so they
# are built in their own folders.
build() {
    installed "$4" "$2" && return
    go=$(command -v go || true)
    [ -n "$go" ] || { [ -x /usr/local/go/bin/go ] && go=/usr/local/go/bin/go; } ||
        die "$3 $2 is built from source, and Go is not here" "install Go 1.24 or newer (https://go.dev/dl/), then run tools/peers/buildkit.sh again"
    say "building $3 $2 with $("$go" env GOVERSION); this takes minutes, once"
    (
        export GOCACHE="$work/gocache" GOMODCACHE="$work/gomod" GOFLAGS='-trimpath -modcacherw' GOWORK=off CGO_ENABLED=0
        cd "$work"
        "$go" mod download "$1@v$2" >&2
        cd "$work/gomod/$1@v$2"
        nice -n 10 "$go" build -ldflags "-s -w" -o "$work/$3" "./cmd/$3" >&2
    ) || die "$3 $2 could not be built"
    mkdir -p "$(dirname "$4")"
    mv "$work/$3" "$4"
    printf '%s\n' "$2" >"$4.version"
}

mkdir -p "$bin"
if have flock; then
    exec 9>"$peers/.buildkit.lock"
    flock 9
fi
# Caches of their own, removed afterwards.
work=$(mktemp -d "$peers/.buildkit.XXXXXX")
trap 'rm -rf "$work"' EXIT
trap 'exit 1' HUP INT TERM

build github.com/docker/buildx "$BUILDX" buildx "$peers/cli-plugins/docker-buildx"
build github.com/moby/buildkit "$BUILDKIT" buildkitd "$bin/buildkitd"
printf '%s\n' "$bin"
