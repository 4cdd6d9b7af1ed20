# shellcheck shell=sh
# Sourced by the scripts of tools/: how they speak, and how they install from apt. The script sets `name` first.

# shellcheck disable=SC2154
say() { printf '%s: %s\n' "$name" "$*" >&2; }

# die WHAT [HINT...]
die() {
    printf '%s: error: %s\n' "$name" "$1" >&2
    shift
    for hint in "$@"; do printf '  hint: %s\n' "$hint" >&2; done
    exit 1
}

have() { command -v "$1" >/dev/null 2>&1; }

# PATH without the folder $1: a link of ours in it must not be taken for this machine's program.
path_without() { printf '%s' "$PATH" | tr ':' '\n' | grep -vxF "$1" | paste -s -d : -; }

# Whether this machine's package lists know the package; they are read once if they do not.
apt_knows() {
    have apt-get || return 1
    [ -n "$(apt-cache madison "$1" 2>/dev/null)" ] && return
    as_root=$(root_prefix) || return 1
    say "reading this machine's package lists: apt-get update"
    $as_root apt-get -qq update >&2
    [ -n "$(apt-cache madison "$1" 2>/dev/null)" ]
}

# What makes a command run as root: nothing, or sudo. Fails where neither does.
root_prefix() {
    [ "$(id -u)" = 0 ] && return
    have sudo || return 1
    echo sudo
}

# apt_install PACKAGE...: says what it installs, installs it without what is merely recommended.
apt_install() {
    have apt-get || die "needed and not here: $*" "this is not Debian or Ubuntu: install it in this system's way and run this again"
    as_root=$(root_prefix) || die "needed and not here: $*" "run as root: apt-get install --no-install-recommends $*"
    apt_knows "$1" || die "this machine's package archive has no $1"
    say "installing by apt: $*"
    apt_get_install "$@" && return
    say "once more, with fresh package lists"
    $as_root apt-get -qq update >&2
    apt_get_install "$@" || die "apt could not install: $*"
}

apt_get_install() {
    $as_root env DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends "$@" >&2
}

# A Go of $1 (as 1.24) or newer, or one that fetches itself such a one (from 1.21 on); else Debian's, where it is new enough.
find_go() {
    for go in "$(command -v go || true)" /usr/local/go/bin/go /usr/lib/go/bin/go; do
        # In a folder without go.mod: there the version asked is its own.
        [ -x "$go" ] && (cd / && newer_or_same "$("$go" env GOVERSION | sed 's/^go//')" 1.21) && return
    done
    apt_knows golang-go && newer_or_same "$(apt-cache madison golang-go | awk -F '|' 'NR == 1 { print $2 }' | sed 's/^ *[0-9]*://')" "$1" ||
        die "Go $1 or newer is needed" "install it (https://go.dev/dl/), then run this again"
    apt_install golang-go
    go=$(command -v go)
}

newer_or_same() { [ "$(printf '%s\n%s\n' "$2" "$1" | sort -V | head -n 1)" = "$2" ]; }

# go_peer NAME MODULE VERSION SUM PACKAGE: builds a program from the Go module proxy into $bin. The module is compared with SUM
# (as go.sum has it) before anything of it is built; what it depends on is pinned by its own go.sum, and checked by Go's checksum
# database.
go_peer() {
    [ -x "$bin/$1" ] && [ "$(cat "$bin/.$1.version" 2>/dev/null)" = "$3 $4" ] && return
    find_go 1.24
    say "building $1 ($2 $3) from the Go module proxy; this takes a minute, once"
    work=$(mktemp -d "$peers/work.XXXXXX")
    # Caches of its own, removed afterwards.
    export GOBIN="$work/bin" GOCACHE="$work/cache" GOMODCACHE="$work/mod" GOFLAGS='-trimpath -modcacherw' GOWORK=off GOTOOLCHAIN=auto
    sum=$(cd "$work" && "$go" mod download -json "$2@$3" | sed -n 's/^.*"Sum": "\(.*\)".*$/\1/p') || sum=
    if [ "$sum" != "$4" ]; then
        rm -rf "$work"
        die "$2 $3 has the checksum ${sum:-(not to be had)}, not $4" "do not use it; find out what your Go module proxy serves"
    fi
    (cd "$work" && nice -n 10 "$go" install "$5@$3" >&2) || { rm -rf "$work"; die "$1 cannot be built"; }
    mv "$work/bin/$(basename "$5")" "$bin/$1"
    rm -rf "$work"
    printf '%s\n' "$3 $4" >"$bin/.$1.version"
}
