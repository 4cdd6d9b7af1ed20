#!/bin/sh
# Builds crane, a registry client that shares no code with Docker's and skopeo's, in a pinned version and with its checksum:
#
#   crane   of Google's go-containerregistry: push, pull, copy, validate
#
# Into ${XDG_CACHE_HOME:-$HOME/.cache}/schleuse/peers/bin, from the Go module proxy, with this machine's Go (1.21 or newer, which
# fetches a newer one itself where that is needed). Prints that folder on stdout, and what it does on stderr, before it does it.
# Quick when all is there; run it as often as you like.
set -eu

peers="${XDG_CACHE_HOME:-$HOME/.cache}/schleuse/peers"
bin="$peers/bin"

name=peers
# shellcheck source=tools/lib.sh
. "$(dirname "$0")/../lib.sh"

mkdir -p "$bin"
if have flock; then
    # Two runs at once, of this or of the others: the second waits, and finds everything there.
    exec 9>"$peers/.lock"
    flock 9
fi
go_peer crane github.com/google/go-containerregistry v0.22.1 \
    h1:RZuuSYhTvlDvtsK+NkutoCZ//C0X2ebLK8X8l3ULs84= \
    github.com/google/go-containerregistry/cmd/crane
printf '%s\n' "$bin"
