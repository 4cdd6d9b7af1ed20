#!/bin/sh
# Installs npm's @sigstore/verify, the verifier of sigstore bundles in JavaScript, as tools/peers/sigstore-js pins it:
#
#   sigstore-js BUNDLE.json KEY.pem   verifies a bundle with a public key (see verify.mjs)
#
# Into ${XDG_CACHE_HOME:-$HOME/.cache}/schleuse/peers; needs the node and npm that tools/peers/service.sh has put there. Prints the
# folder of programs on stdout. Quick when all is there; run it as often as you like.
set -eu

# Seconds for npm; it takes five on a slow line.
NPM_TIMEOUT=300

source="$(cd "$(dirname "$0")" && pwd)/sigstore-js"
peers="${XDG_CACHE_HOME:-$HOME/.cache}/schleuse/peers"
bin="$peers/bin"
folder="$peers/sigstore-js"

name=peers
# shellcheck source=tools/lib.sh
. "$(dirname "$0")/../lib.sh"

install_sigstore_js() {
    wanted=$(cat "$source/package.json" "$source/package-lock.json" "$source/verify.mjs" | sha256sum)
    [ "$(cat "$folder/.installed" 2>/dev/null)" = "$wanted" ] && [ -x "$bin/sigstore-js" ] && return
    [ -x "$bin/node" ] && [ -x "$bin/npm" ] || die "node and npm are not in $bin" "run tools/peers/service.sh, then this again"
    say "installing from npm what tools/peers/sigstore-js pins, into $folder"
    rm -rf "$folder"
    mkdir -p "$folder"
    cp "$source/package.json" "$source/package-lock.json" "$source/verify.mjs" "$folder/"
    # No scripts: nothing of these packages runs before a test runs it.
    (cd "$folder" && timeout "$NPM_TIMEOUT" "$bin/npm" ci --ignore-scripts --omit=dev --no-audit --no-fund --loglevel=error >&2) ||
        die "npm could not install what tools/peers/sigstore-js pins"
    # The program's own $@, not ours.
    # shellcheck disable=SC2016
    printf '#!/bin/sh\nexec "%s" "%s" "$@"\n' "$bin/node" "$folder/verify.mjs" >"$bin/sigstore-js"
    chmod 755 "$bin/sigstore-js"
    printf '%s\n' "$wanted" >"$folder/.installed"
}

mkdir -p "$bin"
if have flock; then
    # Two runs at once, of this or of the others: the second waits, and finds everything there.
    exec 9>"$peers/.lock"
    flock 9
fi
install_sigstore_js
printf '%s\n' "$bin"
