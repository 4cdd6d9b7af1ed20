# shellcheck shell=sh
# Sourced by the scripts of tools/: how they speak, and how they install from apt. The script sets `name` first.

# shellcheck disable=SC2154
say() { printf '%s: %s\n' "$name" "$*" >&2; }

# die WHAT [HINT...]
die() {
    printf '%s: error: %s\n' "$name" "$1" >&2
    shift
    for hint in "$@"; do printf '  hint: %s\n' "$hint" >&2; done
    exit 1
}

have() { command -v "$1" >/dev/null 2>&1; }

# PATH without the folder $1: a link of ours in it must not be taken for this machine's program.
path_without() { printf '%s' "$PATH" | tr ':' '\n' | grep -vxF "$1" | paste -s -d : -; }

# Whether this machine's package lists know the package; they are read once if they do not.
apt_knows() {
    have apt-get || return 1
    [ -n "$(apt-cache madison "$1" 2>/dev/null)" ] && return
    as_root=$(root_prefix) || return 1
    say "reading this machine's package lists: apt-get update"
    $as_root apt-get -qq update >&2
    [ -n "$(apt-cache madison "$1" 2>/dev/null)" ]
}

# What makes a command run as root: nothing, or sudo. Fails where neither does.
root_prefix() {
    [ "$(id -u)" = 0 ] && return
    have sudo || return 1
    echo sudo
}

# apt_install PACKAGE...: says what it installs, installs it without what is merely recommended.
apt_install() {
    have apt-get || die "needed and not here: $*" "this is not Debian or Ubuntu: install it in this system's way and run this again"
    as_root=$(root_prefix) || die "needed and not here: $*" "run as root: apt-get install --no-install-recommends $*"
    apt_knows "$1" || die "this machine's package archive has no $1"
    say "installing by apt: $*"
    apt_get_install "$@" && return
    say "once more, with fresh package lists"
    $as_root apt-get -qq update >&2
    apt_get_install "$@" || die "apt could not install: $*"
}

apt_get_install() {
    $as_root env DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends "$@" >&2
}
