#!/bin/sh
# Installs what `make test` needs on a fresh Debian or Ubuntu: git and a C compiler (the crate `ring` has C in it), and the
# programs that the interoperability tests run against (tools/peers/install.sh). Says what it will do before it does it; does
# nothing where all is there. Rust itself is not installed, only asked for.
set -eu
cd "$(dirname "$0")/.."

say() { printf 'setup: %s\n' "$*" >&2; }
die() {
    printf 'setup: error: %s\n' "$1" >&2
    shift
    for hint in "$@"; do printf '  hint: %s\n' "$hint" >&2; done
    exit 1
}
have() { command -v "$1" >/dev/null 2>&1; }

missing=""
have git || missing="$missing git"
have cc || missing="$missing build-essential"
[ -e /etc/ssl/certs/ca-certificates.crt ] || missing="$missing ca-certificates"

if [ -n "$missing" ]; then
    have apt-get || die "needed and not here:$missing" "this is not Debian or Ubuntu: install them in this system's way and run again"
    as_root=""
    if [ "$(id -u)" -ne 0 ]; then
        have sudo || die "needed and not here:$missing" "run as root: apt-get install$missing"
        as_root="sudo"
    fi
    say "installing by apt:$missing"
    $as_root apt-get update -qq
    # The names are words without spaces, one argument each.
    # shellcheck disable=SC2086
    $as_root env DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends $missing >&2
fi

have cargo || die "cargo is not here" "install Rust: https://rustup.rs" "then open a new shell, so that cargo is found"

tools/peers/install.sh >&2
