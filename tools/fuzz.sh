#!/bin/sh
# The properties of tests/properties under libFuzzer, each for $1 seconds (60): `tools/fuzz.sh 600`. Further arguments name targets.
#
# Installs cargo-fuzz, pinned, into ${XDG_CACHE_HOME:-$HOME/.cache}/schleuse/peers; needs a C++ compiler (libFuzzer). Works with the
# stable toolchain: without a sanitizer, since our code has no `unsafe`. What is found stays in fuzz/artifacts, what is learned in
# fuzz/corpus.
set -eu
cd "$(dirname "$0")/.."

CARGO_FUZZ=0.13.1

name=fuzz
# shellcheck source=tools/lib.sh
. tools/lib.sh

seconds=${1:-60}
[ $# -eq 0 ] || shift
peers="${XDG_CACHE_HOME:-$HOME/.cache}/schleuse/peers"

have c++ || apt_install build-essential
if [ "$("$peers/bin/cargo-fuzz" --version 2>/dev/null)" != "cargo-fuzz $CARGO_FUZZ" ]; then
    say "building cargo-fuzz $CARGO_FUZZ; this takes a minute, once"
    CARGO_TARGET_DIR="$peers/cargo-fuzz-target" cargo install --quiet --locked --root "$peers" --version "$CARGO_FUZZ" cargo-fuzz >&2
    rm -rf "$peers/cargo-fuzz-target"
fi

[ $# -gt 0 ] || set -- reference manifest index layer archive headers challenge
for target in "$@"; do
    say "$target for $seconds s"
    mkdir -p "fuzz/corpus/$target"
    # 64 KiB: longer documents are slower, not different.
    "$peers/bin/cargo-fuzz" run --fuzz-dir fuzz --sanitizer none "$target" "fuzz/corpus/$target" "tests/properties/seeds/$target" -- \
        -max_total_time="$seconds" -max_len=65536 -timeout=20 -print_final_stats=1
done
