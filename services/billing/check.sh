#!/usr/bin/env bash
# Everything about the service, from a clean clone: installs, builds, starts PostgreSQL, migrates, serves, and runs every suite.
# What must be on the machine (Node, PostgreSQL, schemathesis, Docker Engine, …) is installed first, by tools/peers, which says so.
set -euo pipefail
cd "$(dirname "$0")"
peers="${XDG_CACHE_HOME:-$HOME/.cache}/schleuse/peers"
PATH="$peers/bin:$PATH"
python="$peers/venv/bin/python"

step() { printf '\nbilling: %s\n' "$*" >&2; }

step "what the suites need"
../../tools/peers/service.sh >&2

# `npm ci` always begins from nothing: only when the lock file is another one.
lock=$(sha256sum package-lock.json | cut -d ' ' -f 1)
if [ "$(cat node_modules/.lock 2>/dev/null)" != "$lock" ]; then
    step "npm ci"
    npm ci --no-audit --no-fund --loglevel=error
    printf '%s\n' "$lock" >node_modules/.lock
fi

step "lint and build"
npm run --silent lint
npm run --silent build

step "the reference implementation, and that the expected invoices are its"
"$python" -m unittest discover -q -s parity
"$python" parity/generate.py --check

step "unit tests"
npm test --silent
step "billing parity, normalisation, contract: against the running service"
npm run --silent suites
step "the service and its database, alive and not"
node --test --test-concurrency=1 tests/live/*.test.mjs
step "schema check and security audit"
node --test --test-concurrency=1 tests/tools/*.test.mjs
step "releases good and bad"
node --test tests/releases/*.test.mjs
step "the image, by three builders"
node --test tests/images/*.test.mjs
