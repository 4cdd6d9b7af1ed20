#!/usr/bin/env bash
# Builds releases of the billing service to test pipelines with: from this very source, and for all but 1.0.0 a patch of overlays/.
# The faults of the bad ones are in their patches alone, never in the service. A patch that no longer fits is an error.
#
#   releases/build.sh OUT [RELEASE...]      without names: all of them, 1.0.0 first
#   releases/build.sh --list
#
# Each becomes OUT/RELEASE with package.json, dist and migrations: what an image has, less its packages (OUT/node_modules).
# Versions: 1.0.0, 1.1.0, and 1.0.1-RELEASE for the bad ones. Needs `npm ci` to have run.
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
service=$(dirname "$here")

die() { printf 'releases: error: %s\n  hint: %s\n' "$1" "$2" >&2; exit 2; }

mapfile -t all < <(echo 1.0.0; find "$here/overlays" -name '*.patch' -printf '%f\n' | sed 's/\.patch$//' | sort)
[ "${1:-}" != --list ] || { printf '%s\n' "${all[@]}"; exit 0; }
[ -n "${1:-}" ] || die "no folder to build in" "releases/build.sh OUT [RELEASE...]; the releases: ${all[*]}"
[ -x "$service/node_modules/.bin/tsc" ] || die "the compiler is not installed" "npm ci --prefix services/billing"
mkdir -p "$1"
out=$(cd "$1" && pwd)
shift
[ $# -gt 0 ] || set -- "${all[@]}"
[ -e "$out/node_modules" ] || ln -s "$service/node_modules" "$out/node_modules"

build() {
    local name=$1 at="$out/.$1.new" version
    rm -rf "$at"
    mkdir "$at"
    cp -R "$service"/{package.json,tsconfig.json,src,migrations} "$at"
    if [ "$name" != 1.0.0 ]; then
        # As outside of any repository: paths are those of the folder.
        (cd "$at" && GIT_CEILING_DIRECTORIES="$out" git apply "$here/overlays/$name.patch") ||
            die "overlays/$name.patch does not fit the source" "make the same change in the source by hand and write the patch anew"
    fi
    case $name in [0-9]*) version=$name ;; *) version=1.0.1-$name ;; esac
    (cd "$at" && node -e '
        const fs = require("node:fs");
        const it = JSON.parse(fs.readFileSync("package.json", "utf8"));
        fs.writeFileSync("package.json", JSON.stringify({ ...it, version: process.argv[1] }, null, 2) + "\n");
    ' "$version" && "$service/node_modules/.bin/tsc" --project tsconfig.json)
    rm -rf "${out:?}/$name"
    mv "$at" "$out/$name"
    printf '%s\n' "$name"
}

for name in "$@"; do
    [[ " ${all[*]} " == *" $name "* ]] || die "there is no release \`$name\`" "one of: ${all[*]}"
    build "$name"
done
