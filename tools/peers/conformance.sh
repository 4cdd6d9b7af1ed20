#!/bin/sh
# Builds the conformance suite of the OCI's distribution-spec, which our registry is held against, in a pinned version and with its checksum:
#
#   oci-conformance   the suite as one program; it reads what to ask from variables (OCI_REGISTRY, OCI_API_*, OCI_DATA_*)
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
go_peer oci-conformance github.com/opencontainers/distribution-spec/conformance v0.0.0-20260831232431-97274622c111 \
    h1:ppZPU0CrEPzyJhVggYwUIZrqh0w2lIT0esw+9ABNPA4= \
    github.com/opencontainers/distribution-spec/conformance
printf '%s\n' "$bin"
