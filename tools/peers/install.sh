#!/bin/sh
# Installs the programs that the interoperability tests run against, in pinned versions:
#
#   cosign 2.5.0, cosign 3.1.1   what others verify our signatures with, and sign with
#   docker-registry 2.8          a registry without referrers API and without create-once tags
#   skopeo 1.22                  what others verify our legacy signatures with, and sign with
#   skopeo                       what the benchmark compares re-tagging with
#
# Into ${XDG_CACHE_HOME:-$HOME/.cache}/schleuse/peers/bin; only the last is installed into the system (it needs its libraries, and
# Debian 12's has sigstore signatures switched off; skopeo 1.22 brings its own libraries).
# Prints that folder on stdout, and what it does on stderr, before it does it. Quick when all is there; run it as often as you like.
#
# Sources, in this order: the Debian archive that this machine's apt uses, or deb.debian.org on Ubuntu (apt checks the archive's
# signature; the packages we know are compared with the SHA-256 below as well); for cosign, the Go module proxy (checked by Go's
# checksum database; takes minutes and 3 GB of disk meanwhile).
# These are test peers on the loopback interface. Do not use them for anything else: newer cosign versions fix security bugs.
set -eu

COSIGN_2=2.5.0
COSIGN_3=3.1.1
REGISTRY=2.8
SKOPEO=1.22

# name_version_architecture sha256
KNOWN='
cosign_2.5.0-2+b5_amd64 3b6eadd27f3c4c00bfa7eab5c2397a6a15a763630c7a1d40d06ff60d24799eef
cosign_3.1.1-2_amd64 d8622ebffce1d69197288fc030ff06a4c247af5507107f85c5a878870b686b23
skopeo_1.22.0+ds1-1_amd64 9db32d779a0a993b53b4efc31ed633e716a773e4310a02af1bc11c4c7ac2ae57
libassuan9_3.0.2-2+b2_amd64 3f63fc652b19b5720dec7fa75275d9c1bb06de865f3ec748e1512cccac3738d9
libc6_2.43-7_amd64 5c71715c51103beb4fbba9fe9f8dff604af6610dfa71c70bff342f54a7860803
libgpg-error0_1.61-5_amd64 ef307016953fca2d257786cb323ad7c3b8b84fe9e17a64c9adeaae5d5a434d30
libgpgme45_2.2.0-2_amd64 fac6ca780ade1cd55897015563f6a756854aefd8918e0af55aacfb5e9e032ad3
libsqlite3-0_3.53.4-2_amd64 bbf13c9326764d05e37e6590debdaa6f33af6bd822e3ca1204789d9d1dc23b11
'

peers="${XDG_CACHE_HOME:-$HOME/.cache}/schleuse/peers"
bin="$peers/bin"

name=peers
# shellcheck source=tools/lib.sh
. "$(dirname "$0")/../lib.sh"
PATH=$(path_without "$bin")

# Whether $1 is there in the version $2: Debian's cosign calls itself "devel", so the version stands in a file beside it.
installed() { [ -x "$bin/$1" ] && [ "$(cat "$bin/.$1.version" 2>/dev/null)" = "$2" ]; }

# Puts the program $3 there as $1, version $2: whole or not at all.
keep() {
    cp "$3" "$bin/.$1.new"
    chmod 755 "$bin/.$1.new"
    mv "$bin/.$1.new" "$bin/$1"
    printf '%s\n' "$2" >"$bin/.$1.version"
}

# The address of the Debian archive that this machine's apt uses: from apt's own lists, or on a fresh machine, which has none
# yet, from its sources.
debian_archive() {
    {
        apt-get indextargets --format '$(LABEL) $(COMPONENT) $(REPO_URI)' 'Identifier: Packages' 2>/dev/null |
            sed -n 's/^Debian main //p'
        cat /etc/apt/sources.list.d/*.sources 2>/dev/null | sed -n 's/^URIs: *//p'
        cat /etc/apt/sources.list /etc/apt/sources.list.d/*.list 2>/dev/null | sed -n 's/^deb  *\(\[[^]]*\]  *\)\{0,1\}//p'
    } | grep -o '^https\{0,1\}://[^ ]*/debian/\{0,1\}\( \|$\)' | head -n 1
}

# Debian's archive keys: this machine's, or (Ubuntu) out of the package that its own archive vouches for. Fails without either.
debian_keys() {
    keys=/usr/share/keyrings/debian-archive-keyring.gpg
    [ ! -r "$keys" ] || return 0
    apt_of=system_apt
    apt_knows debian-archive-keyring && fetch_deb debian-archive-keyring '' || return 1
    mv "$work/root$keys" "$work/keys.gpg" && keys="$work/keys.gpg"
}

# Writes a sources list with the suites $1 of that archive, or of Debian's own where this machine uses none (Ubuntu). Fails where
# there is no apt, or no keys to check the archive with.
debian_sources() {
    have apt-get && have dpkg && debian_keys || return 1
    archive=$(debian_archive)
    archive=${archive:-http://deb.debian.org/debian}
    for suite in $1; do
        printf 'deb [signed-by=%s] %s %s main\n' "$keys" "$archive" "$suite"
    done >"$work/sources.list"
}

# apt with lists and caches of our own: the system's stay as they are, and no root is needed.
own_apt() {
    tool=$1
    shift
    "$tool" -q -o Dir::Etc::sourcelist="$work/sources.list" -o Dir::Etc::sourceparts=- -o Dir::State::lists="$work/lists" \
        -o Dir::Cache="$work/cache" -o Acquire::Languages=none \
        -o Acquire::IndexTargets::deb::DEP-11::DefaultEnabled=false -o Debug::NoLocking=true "$@"
}

# The newest version of the package $1 that starts with $2, or the newest of all without $2.
version_of() {
    $apt_of apt-cache madison "$1" 2>/dev/null | tr -d ' ' |
        awk -F '|' -v want="${2:-}" 'want == "" || index($2, want) == 1 { print $2; exit }'
}

# Downloads the package $1 in an upstream version that starts with $2 into $work/deb and unpacks it into $work/root.
fetch_deb() {
    rm -rf "$work/root"
    add_deb "$1" "$(version_of "$1" "$2")"
}

# The same with the version $2 exactly, beside what is in $work/root already. Leaves the package's file in $deb.
add_deb() {
    version=$2
    rm -rf "$work/deb"
    mkdir -p "$work/deb" "$work/root"
    [ -n "$version" ] || return 1
    say "downloading $1 $version from the package archive"
    (cd "$work/deb" && $apt_of apt-get -o APT::Sandbox::User="$(id -un)" download "$1=$version" >&2) || return 1
    deb=$(ls "$work"/deb/*.deb)
    expected=$(printf '%s' "$KNOWN" | awk -v name="$1_${version}_$(dpkg --print-architecture)" '$1 == name { print $2 }')
    actual=$(sha256sum "$deb" | cut -d ' ' -f 1)
    if [ -n "$expected" ] && [ "$expected" != "$actual" ]; then
        die "$1 $version has the SHA-256 $actual, not $expected" "do not use it; find out what your package archive serves"
    fi
    dpkg -x "$deb" "$work/root"
}

go_install() {
    go=$(command -v go || true)
    [ -n "$go" ] || { [ -x /usr/local/go/bin/go ] && go=/usr/local/go/bin/go; }
    [ -n "$go" ] || return 1
    say "building cosign $2 with $("$go" env GOVERSION); this takes minutes, once"
    # Caches of its own, removed afterwards: they take 3 GB.
    GOBIN="$work/gobin" GOCACHE="$work/gocache" GOMODCACHE="$work/gomod" GOFLAGS='-trimpath -modcacherw' GOWORK=off nice -n 10 "$go" install "github.com/sigstore/cosign/v${2%%.*}/cmd/cosign@v$2" >&2 &&
        keep "$1" "$2" "$work/gobin/cosign"
}

# From here on packages come from Debian trixie and sid. Fails where there is no Debian archive.
use_own_lists() {
    if [ ! -f "$work/sources.list" ]; then
        debian_sources 'trixie sid' || return 1
        say "reading the package lists of Debian trixie and sid (this machine's own lists are not touched)"
        own_apt apt-get -o APT::Sandbox::User="$(id -un)" update >"$work/update.log" 2>&1 || say "they cannot be read: $(tail -n 1 "$work/update.log")"
    fi
    apt_of=own_apt
}

install_cosign() {
    installed "$1" "$2" && return
    if use_own_lists && fetch_deb cosign "$2-"; then
        keep "$1" "$2" "$work/root/usr/bin/cosign"
    elif ! go_install "$1" "$2"; then
        die "cosign $2 can be had neither as a Debian package nor by building it" \
            "install Go 1.24 or newer (https://go.dev/dl/), then run tools/peers/install.sh again" \
            "or put the program there yourself: $bin/$1, and its version, $2, in $bin/.$1.version"
    fi
    "$bin/$1" version >/dev/null 2>&1 || { rm -f "$bin/$1"; die "cosign $2 was installed and does not run"; }
}

system_apt() { "$@"; }

# Unpacked, not installed: Debian's package would start a service on port 5000.
install_registry() {
    installed docker-registry "$REGISTRY" && return
    have apt-get || die "docker-registry $REGISTRY is fetched with apt, which this machine lacks" \
        "put the program there yourself: $bin/docker-registry, and its version, $REGISTRY, in $bin/.docker-registry.version"
    apt_of=system_apt
    apt_knows docker-registry && fetch_deb docker-registry "$REGISTRY." ||
        die "this machine's package archive has no docker-registry $REGISTRY" "run \`apt-get update\` as root, then this again"
    keep docker-registry "$REGISTRY" "$work/root/usr/bin/docker-registry"
    "$bin/docker-registry" --version >/dev/null 2>&1 || { rm -f "$bin/docker-registry"; die "docker-registry does not run"; }
}

# Unpacks skopeo $SKOPEO and the libraries that it needs, down to the C library (this machine's may be too old), into $work/root.
fetch_skopeo() {
    wanted=$(version_of skopeo "$SKOPEO.")
    if [ -z "$wanted" ]; then
        wanted=$(version_of skopeo)
        [ -n "$wanted" ] && dpkg --compare-versions "$wanted" ge "$SKOPEO" || return 1
        say "Debian sid has no skopeo $SKOPEO any more; taking $wanted instead"
    fi
    rm -rf "$work/root"
    add_deb skopeo "$wanted" || return 1
    seen=' '
    todo=$(libraries_of "$deb")
    while [ -n "$todo" ]; do
        more=
        for library in $todo; do
            case $seen in *" $library "*) continue ;; esac
            seen="$seen$library "
            add_deb "$library" "$(version_of "$library")" || return 1
            # What the C library asks for is for conversions of character sets and for cancelled threads; nothing here does either.
            [ "$library" = libc6 ] || more="$more $(libraries_of "$deb")"
        done
        todo=${more# }
    done
}

# The libraries among the packages that the package file $1 depends on. Programs (gpg) and configuration are not needed here.
libraries_of() {
    dpkg-deb -f "$1" Depends | tr ',|' '\n\n' | sed -n 's/^ *\(lib[^ (:]*\).*/\1/p'
}

install_skopeo_122() {
    installed "skopeo-$SKOPEO" "$SKOPEO" && return
    use_own_lists && fetch_skopeo ||
        die "skopeo $SKOPEO or newer cannot be had from Debian sid" \
            "put the program there yourself: $bin/skopeo-$SKOPEO, and its version, $SKOPEO, in $bin/.skopeo-$SKOPEO.version"
    folder="$peers/skopeo-$SKOPEO"
    rm -rf "$folder"
    mv "$work/root" "$folder"
    loader=$(find "$folder" -type f -name 'ld-linux*.so.*' | head -n 1)
    # The program's own $@, not ours.
    # shellcheck disable=SC2016
    printf '#!/bin/sh\nexec "%s" --inhibit-cache --library-path "%s" "%s" "$@"\n' \
        "$loader" "${loader%/*}" "$folder/usr/bin/skopeo" >"$work/skopeo"
    keep "skopeo-$SKOPEO" "$SKOPEO" "$work/skopeo"
    "$bin/skopeo-$SKOPEO" --version >/dev/null 2>&1 || { rm -f "$bin/skopeo-$SKOPEO"; die "skopeo $SKOPEO was installed and does not run"; }
}

install_skopeo() {
    have skopeo || apt_install skopeo
    ln -sf "$(command -v skopeo)" "$bin/skopeo"
}

mkdir -p "$bin"
if have flock; then
    # Two runs at once: the second waits, and finds everything there.
    exec 9>"$peers/.lock"
    flock 9
fi
work=$(mktemp -d "$peers/work.XXXXXX")
trap 'rm -rf "$work"' EXIT
trap 'exit 130' INT TERM
mkdir -p "$work/lists/partial" "$work/cache/archives/partial"

install_cosign cosign-2.5 "$COSIGN_2"
install_cosign cosign-3.1 "$COSIGN_3"
install_registry
install_skopeo_122
install_skopeo
printf '%s\n' "$bin"
