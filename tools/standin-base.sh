#!/bin/sh
# Makes a stand-in for the image node:20-alpine, for tests where no base image can be had:
#
#   tools/standin-base.sh OUT_DIR   writes it to OUT_DIR as an OCI layout and prints its digest
#
# What is in it: the machine's Node (20 or later) and npm, the C and C++ libraries they are linked with, and busybox as `sh` and the rest, from
# the packages of this machine's archive (apt checks its signature). No root is needed; the same packages and the same Node give the
# same digest. It is kept in ${XDG_CACHE_HOME:-$HOME/.cache}/schleuse/standin.
#
# What it is not: Alpine (its C library is Debian's, not musl), maintained, or fit to be shipped.
#
# It is built by Schleuse itself: by the program that SCHLEUSE names, or one that cargo builds first.
set -eu

PACKAGES='libc6 libgcc-s1 libstdc++6 busybox-static'
# Left out of them: conversions to other character sets (10 MB), documentation.
UNUSED='--exclude=*/gconv --exclude=./usr/share --exclude=*/audit'

name=standin
here=$(cd "$(dirname "$0")/.." && pwd)
# shellcheck source=tools/lib.sh
. "$here/tools/lib.sh"

cache="${XDG_CACHE_HOME:-$HOME/.cache}/schleuse/standin"
bin="${XDG_CACHE_HOME:-$HOME/.cache}/schleuse/peers/bin"
PATH="$bin:$PATH"

# What goes in, a line each: all that the image depends on. Packages are package=version, as apt would install them.
inputs() {
    # shellcheck disable=SC2086 # a list of names
    apt-cache show --no-all-versions $PACKAGES 2>/dev/null |
        awk '/^Package: / { package = $2 } /^Version: / { print package "=" $2 }'
    dpkg --print-architecture
    sha256sum <"$node"
    npm --version
    sha256sum <"$here/tools/standin-base.sh"
}

# Unpacks the packages into the folder $1. Their paths are from before and after Debian's merge of /lib into /usr; the links let
# both arrive in /usr, as on an installed system, and the programs find their loader in /lib64.
unpack() {
    mkdir -p "$work/deb" "$1/usr/bin" "$1/usr/sbin" "$1/usr/lib" "$1/usr/lib64"
    for folder in bin sbin lib lib64; do ln -s "usr/$folder" "$1/$folder"; done
    # shellcheck disable=SC2046 # a list of names
    (cd "$work/deb" && apt-get -q -o APT::Sandbox::User="$(id -un)" download $(grep '=' "$work/inputs") >&2) ||
        die "these packages cannot be downloaded" "run \`apt-get update\` as root, then this again"
    for deb in "$work"/deb/*.deb; do
        # shellcheck disable=SC2086 # a list of flags
        dpkg-deb --fsys-tarfile "$deb" | tar -x -C "$1" --keep-directory-symlink --no-same-owner $UNUSED
    done
    for applet in $("$1/bin/busybox" --list); do
        [ -e "$1/usr/bin/$applet" ] || ln -s busybox "$1/usr/bin/$applet"
    done
}

# Puts Node and npm into the folder $1, where node's own images have them.
add_node() {
    mkdir -p "$1/usr/local/bin" "$1/usr/local/lib/node_modules"
    cp "$node" "$1/usr/local/bin/node"
    # npm tells what it starts where it is itself: a user's settings may have put other global packages elsewhere.
    # shellcheck disable=SC2016 # npm's variable
    npm=$(cd "$work" && npm exec --offline -c 'echo "$npm_execpath"')
    cp -R "${npm%/bin/npm-cli.js}" "$1/usr/local/lib/node_modules/npm"
    rm -rf "$1/usr/local/lib/node_modules/npm/docs" "$1/usr/local/lib/node_modules/npm/man"
    for program in npm npx; do ln -s "../lib/node_modules/npm/bin/$program-cli.js" "$1/usr/local/bin/$program"; done
    # Linked with more than the packages above have, as distributions' own Node is: it would not start.
    ldd "$node" | awk '!/vdso/ { print $1 }' | while read -r library; do
        [ -n "$(find "$1/usr/lib" "$1/usr/lib64" -name "${library##*/}")" ] ||
            die "$node needs ${library##*/}, which the stand-in has not" "use a Node from https://nodejs.org"
    done
}

# What every image has, and node's own as well: names for the users, an order of asking for hosts' names.
add_system() {
    mkdir -p "$1/etc" "$1/root" "$1/tmp" "$1/home/node"
    printf '%s\n' 'root:x:0:0:root:/root:/bin/sh' 'node:x:1000:1000::/home/node:/bin/sh' \
        'nobody:x:65534:65534:nobody:/:/bin/false' >"$1/etc/passwd"
    printf '%s\n' 'root:x:0:' 'node:x:1000:' 'nogroup:x:65534:' >"$1/etc/group"
    echo 'hosts: files dns' >"$1/etc/nsswitch.conf"
}

# Makes the layout $1 of the folder $work/root. Schleuse pushes to registries only, so there is one in between.
build() {
    : >"$work/registry.log"
    "$SCHLEUSE" registry serve --memory --listen 127.0.0.1:0 2>"$work/registry.log" &
    registry=$!
    tries=100
    until address=$(grep -o '127\.0\.0\.1:[0-9]*' "$work/registry.log"); do
        tries=$((tries - 1))
        [ "$tries" -gt 0 ] || die "Schleuse's registry does not start: $(cat "$work/registry.log")"
        sleep 0.1
    done
    cat >"$work/schleuse.toml" <<END
image  = "$address/standin/node"
source = "https://schleuse.dev/standin"

[build]
copy = [{ from = "root", to = "/" }]
cmd  = ["node"]
env  = { PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin", NODE_VERSION = "${version#v}" }
END
    image=$(cd "$work" && SOURCE_DATE_EPOCH=1700000000 "$SCHLEUSE" build --commit "$commit" 2>"$work/build.log") ||
        die "Schleuse cannot build it: $(cat "$work/build.log")"
    skopeo --insecure-policy copy --quiet --src-tls-verify=false "docker://$image" "oci:$1:node" >&2
    kill "$registry"
    registry=
}

[ $# = 1 ] && [ -n "$1" ] || die "usage: tools/standin-base.sh OUT_DIR"
[ -z "$(ls -A "$1" 2>/dev/null)" ] || die "$1 is not empty"
have dpkg-deb || die "this is not Debian or Ubuntu: the stand-in is made of their packages"
have skopeo || die "skopeo is not here" "run tools/peers/install.sh"
node=$(command -v node) || die "Node is not here" "run tools/peers/service.sh"
# A program, not a version manager's script that calls it.
node=$(node -p process.execPath)
version=$(node --version)
major=${version#v}
[ "${major%%.*}" -ge 20 ] || die "Node here is $version" "run tools/peers/service.sh"

mkdir -p "$cache"
if have flock; then
    exec 9>"$cache/.lock"
    flock 9
fi
work=$(mktemp -d "${TMPDIR:-/tmp}/schleuse-standin.XXXXXX")
registry=
trap '[ -z "$registry" ] || kill "$registry" 2>/dev/null || true; rm -rf "$work"' EXIT
trap 'exit 130' INT TERM

inputs >"$work/inputs"
# A fresh machine has no lists of packages; this one, hardly installed anywhere, is then missing.
if ! grep -q '^busybox-static=' "$work/inputs"; then
    apt_knows busybox-static || die "this machine's package archive has no busybox-static"
    inputs >"$work/inputs"
fi
# As long as a commit's.
commit=$(sha256sum <"$work/inputs" | cut -c 1-40)
if [ ! -d "$cache/$commit" ]; then
    if [ -z "${SCHLEUSE:-}" ]; then
        (cd "$here" && cargo build --locked --quiet --bin schleuse >&2)
        SCHLEUSE="${CARGO_TARGET_DIR:-$here/target}/debug/schleuse"
    fi
    say "making a stand-in for node:20-alpine of Node $version and Debian's packages"
    unpack "$work/root"
    add_node "$work/root"
    add_system "$work/root"
    rm -rf "$cache/$commit.new"
    build "$cache/$commit.new"
    # Whole or not at all.
    mv "$cache/$commit.new" "$cache/$commit"
fi
mkdir -p "$1"
cp -R "$cache/$commit/." "$1"
grep -o 'sha256:[0-9a-f]*' "$1/index.json"
