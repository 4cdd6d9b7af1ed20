#!/bin/sh
# Installs the container engines that the tests of the reference service's image run against:
#
#   docker, dockerd   Docker Engine, with BuildKit; from apt (docker.io), unless the machine has one
#   buildah           a second, independent builder of Dockerfiles; from apt, unless the machine has it
#
# They are installed into the system (they need its libraries, runc and containerd); ${XDG_CACHE_HOME:-$HOME/.cache}/schleuse/peers/bin
# gets links to them. Prints that folder on stdout, and what it does on stderr, before it does it. Quick when all is there.
#
# Nothing is started here: tools/engine.sh starts a private engine. But where systemd runs, Debian's package starts an engine of
# the system's own, now and at every boot, and makes whoever is in the group `docker` root by it.
set -eu

peers="${XDG_CACHE_HOME:-$HOME/.cache}/schleuse/peers"
bin="$peers/bin"

name=engines
# shellcheck source=tools/lib.sh
. "$(dirname "$0")/../lib.sh"

# An ordinary user's PATH may lack the folders that dockerd lies in.
PATH=$(path_without "$bin"):/usr/sbin:/sbin

# The first Docker client that can build with BuildKit: since 23 it needs a plugin for that (buildx), and is of no use without it.
# The package's own comes first: what else is called docker on this machine may be anything.
docker_client() {
    for client in /usr/bin/docker "$(command -v docker || true)"; do
        if [ -x "$client" ] && DOCKER_BUILDKIT=1 "$client" build --help >/dev/null 2>&1; then
            printf '%s\n' "$client"
            return
        fi
    done
    return 1
}

install_docker() {
    if ! have dockerd; then
        if [ -d /run/systemd/system ]; then
            say "systemd runs here: the package docker.io starts the system's own Docker Engine, now and at every boot;" \
                "\`systemctl disable --now docker.service docker.socket\` ends that, the tests do not need it"
        fi
        apt_install docker.io
        have dockerd || die "docker.io is installed, and there is no dockerd"
    fi
    # What the client needs is a package of its own: the client from Debian 13 on, buildx from Docker 23 on, which Docker's own
    # archive calls by the other name.
    for package in docker-cli docker-buildx-plugin docker-buildx; do
        docker_client >/dev/null && break
        [ "$package" != docker-cli ] || [ ! -e /usr/bin/docker ] || continue
        if apt_knows "$package"; then apt_install "$package"; fi
    done
    client=$(docker_client) || die "no Docker client here can build with BuildKit" "install its plugin buildx: https://docs.docker.com/go/buildx/"
    ln -sf "$client" "$bin/docker"
    ln -sf "$(command -v dockerd)" "$bin/dockerd"
}

install_buildah() {
    have buildah || apt_install buildah
    ln -sf "$(command -v buildah)" "$bin/buildah"
}

mkdir -p "$bin"
if have flock; then
    # Two runs at once, of this or of install.sh: the second waits, and finds everything there.
    exec 9>"$peers/.lock"
    flock 9
fi

install_docker
install_buildah
printf '%s\n' "$bin"
