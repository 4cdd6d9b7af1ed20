#!/bin/sh
# Installs what `make test` needs on a fresh Debian or Ubuntu: git, a C compiler (the crate `ring` has C in it), openssl
# (makes certificates), and the programs that the interoperability tests run against (tools/peers). Says what it will do before it
# does it; does nothing where all is there. Rust itself is not installed, only asked for.
set -eu
cd "$(dirname "$0")/.."

name=setup
# shellcheck source=tools/lib.sh
. tools/lib.sh

missing=""
have git || missing="$missing git"
have cc || missing="$missing build-essential"
have openssl || missing="$missing openssl"
[ -e /etc/ssl/certs/ca-certificates.crt ] || missing="$missing ca-certificates"

# The names are words without spaces, one argument each.
# shellcheck disable=SC2086
[ -z "$missing" ] || apt_install $missing

have cargo || die "cargo is not here" "install Rust: https://rustup.rs" "then open a new shell, so that cargo is found"

tools/peers/install.sh >&2
tools/peers/service.sh >&2
tools/peers/sigstore-js.sh >&2
tools/peers/engines.sh >&2
tools/peers/conformance.sh >&2
tools/peers/crane.sh >&2
tools/peers/buildkit.sh >&2
