#!/usr/bin/env bash
# Everything about the service, from a clean clone: installs, builds, starts PostgreSQL, migrates, serves, and runs every suite.
#
#   check.sh          what `make test` runs
#   check.sh soak     the contract suite with far more requests
#   check.sh bench    500 requests a second for 30 s
#
# What must be on the machine (Node, PostgreSQL, schemathesis, Docker Engine, …) is installed first, by tools/peers, which says so.
set -euo pipefail
cd "$(dirname "$0")"
peers="${XDG_CACHE_HOME:-$HOME/.cache}/schleuse/peers"
PATH="$peers/bin:$PATH"
python="$peers/venv/bin/python"

step() { printf '\nbilling: %s\n' "$*" >&2; }

case ${1:-test} in
test | soak | bench) ;;
*)
    printf "billing: error: '%s' is none of test, soak, bench\n" "$1" >&2
    exit 2
    ;;
esac

step "what the suites need"
for kind in install service engines; do ../../tools/peers/$kind.sh >&2; done

# `npm ci` always begins from nothing: only when the lock file is another one.
lock=$(sha256sum package-lock.json | cut -d ' ' -f 1)
if [ "$(cat node_modules/.lock 2>/dev/null)" != "$lock" ]; then
    step "npm ci"
    npm ci --no-audit --no-fund --loglevel=error
    printf '%s\n' "$lock" >node_modules/.lock
fi

step "lint and build"
(cd ../.. && "$peers/bin/shellcheck" -x -S warning tools/*.sh tools/peers/*.sh services/billing/*.sh services/billing/releases/*.sh .ci/run)
npm run --silent lint
npm run --silent build

case ${1:-test} in
soak)
    CONTRACT_EXAMPLES=300 exec npm run --silent suites test:contract
    ;;
bench)
    step "500 requests a second"
    exec npm run --silent bench
    ;;
esac

step "the reference implementation, and that the expected invoices are its"
"$python" -m unittest discover -q -s parity
"$python" parity/generate.py --check

step "unit tests"
npm test --silent
step "billing parity, normalisation, contract: against the running service"
npm run --silent suites
step "the service and its database, alive and not"
node --test --test-concurrency=2 tests/live/*.test.mjs
step "a little load"
npm run --silent bench -- --short
step "schema check and security audit"
node --test --test-concurrency=1 tests/tools/*.test.mjs
step "releases good and bad"
node --test tests/releases/*.test.mjs
step "the image, by three builders"
node --test tests/images/*.test.mjs
step "from a build to production and back, with schleuse"
node --test tests/ship/*.test.mjs
