#!/usr/bin/env bash
#
# Installs what is missing, and says so. Usage: scripts/setup.sh demo|test
#
#   demo   PostgreSQL (server and contrib), a C compiler, and libclang, which the build of PostgreSQL's parser needs
#   test   these, HypoPG, PgBouncer, Redis, Chromium, and the drivers of the driver tests: for Python into .venv, for Node.js into
#          node_modules beside the tests
#
# No service is started or left enabled: pgprime starts what it needs by itself, privately. What is there already is
# not touched, so running it again takes no time.

set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

readonly PG_MAJOR_MIN=13
readonly DRIVERS=crates/pgprime/tests/drivers
readonly STAMPS=target/setup
readonly POLICY=/usr/sbin/policy-rc.d
readonly CREATECLUSTER=/etc/postgresql-common/createcluster.conf
# Set when the packages have none for this server.
NO_HYPOPG=""
# Set when there is none; Ubuntu's is no package of apt.
NO_CHROMIUM=""

main() {
    case "${1:-}" in
    demo | test) ;;
    *)
        echo "usage: scripts/setup.sh demo|test" >&2
        exit 2
        ;;
    esac
    # Debian keeps servers' programs here, which is not in every user's PATH.
    PATH="$PATH:${HOME:-/root}/.cargo/bin:/usr/sbin:/usr/local/sbin"
    need_rust "$1"
    local missing
    missing=$(missing_tools "$1")
    if [ -n "$missing" ]; then
        # shellcheck disable=SC2086 # a list of words
        install_tools $missing
        missing=$(missing_tools "$1")
        [ -z "$missing" ] || fail "still missing after the installation: $missing"
    fi
    if [ "$1" = test ]; then
        install_python_drivers
        install_node_drivers
    fi
}

say() { echo "setup: $*"; }

fail() {
    echo "setup: $*" >&2
    exit 1
}

have() { command -v "$1" >/dev/null 2>&1; }

# Rust ------------------------------------------------------------------------------------------------------------

need_rust() {
    have cargo || fail "the Rust toolchain is missing. Install it with rustup (https://rustup.rs):
    curl --proto '=https' --tlsv1.2 -sSf https://sh.rustup.rs | sh"
    local needed found
    needed=$(sed -n 's/^rust-version = "\(.*\)"/\1/p' Cargo.toml)
    found=$(cargo --version | cut -d' ' -f2)
    at_least "$found" "$needed" || fail "Rust $needed or newer is needed, this is $found. Update it with:
    rustup update stable    (https://rustup.rs)"
    [ "$1" = test ] || return 0
    # rustup has a cargo-fmt and a cargo-clippy in place even where the components are missing.
    if ! cargo fmt --version >/dev/null 2>&1 || ! cargo clippy --version >/dev/null 2>&1; then
        have rustup || fail "cargo fmt and cargo clippy are missing: install rustfmt and clippy of your Rust toolchain"
        say "adding rustfmt and clippy to the Rust toolchain"
        rustup component add rustfmt clippy
    fi
}

# Whether version $1 (major.minor…) is $2 (major.minor) or newer.
at_least() {
    local major minor rest
    IFS=. read -r major minor rest <<<"$1"
    [ "$major" -gt "${2%%.*}" ] || { [ "$major" -eq "${2%%.*}" ] && [ "${minor%%[!0-9]*}" -ge "${2#*.}" ]; }
}

# Tools -----------------------------------------------------------------------------------------------------------

# What is missing, as words: postgresql cc libclang hypopg pgbouncer redis chromium python node.
missing_tools() {
    local missing=""
    have_postgresql || missing="$missing postgresql"
    have cc || missing="$missing cc"
    have_libclang || missing="$missing libclang"
    if [ "$1" = test ]; then
        have_hypopg || missing="$missing hypopg"
        have pgbouncer || missing="$missing pgbouncer"
        have redis-server || have valkey-server || missing="$missing redis"
        have_chromium || missing="$missing chromium"
        stamped python || have_python || missing="$missing python"
        { have node && { stamped node || have npm; }; } || missing="$missing node"
    fi
    echo "$missing"
}

# Whether a new enough server is installed, in the places where pgprime looks for it.
have_postgresql() {
    local dir
    if [ -n "${PGPRIME_PG_BIN:-}" ]; then
        usable_postgresql "$PGPRIME_PG_BIN" || fail "PGPRIME_PG_BIN=$PGPRIME_PG_BIN does not hold the programs of" \
            "PostgreSQL $PG_MAJOR_MIN or newer"
        return 0
    fi
    if have postgres; then
        dir=$(follow "$(command -v postgres)")
        usable_postgresql "${dir%/*}" && return 0
    fi
    for dir in /usr/lib/postgresql/*/bin /usr/pgsql-*/bin /usr/local/pgsql/bin /opt/homebrew/opt/postgresql@*/bin \
        /usr/local/opt/postgresql@*/bin /home/linuxbrew/.linuxbrew/opt/postgresql@*/bin \
        /Applications/Postgres.app/Contents/Versions/*/bin; do
        usable_postgresql "$dir" && return 0
    done
    return 1
}

# Where bindgen looks for it; macOS has it with the compiler.
have_libclang() {
    [ -z "${LIBCLANG_PATH:-}" ] || return 0
    [ "$(uname)" != Darwin ] || return 0
    local file
    for file in /usr/lib/llvm-*/lib/libclang.so* /usr/lib/*/libclang*.so* /usr/lib64/libclang.so* /usr/local/lib/libclang.so*; do
        [ ! -e "$file" ] || return 0
    done
    return 1
}

# Debian's servers can have it; what is built otherwise is left alone, and the tests say that they go without.
have_hypopg() {
    [ -z "${PGPRIME_PG_BIN:-}" ] && have apt-get && [ -z "$NO_HYPOPG" ] || return 0
    local major
    major=$(debian_major) || return 1
    [ -e "/usr/share/postgresql/$major/extension/hypopg.control" ]
}

# The newest major version among Debian's servers.
debian_major() {
    local dir newest=""
    for dir in /usr/lib/postgresql/*/bin; do
        [ -x "$dir/postgres" ] || continue
        dir=${dir%/bin}
        [ "${dir##*/}" -gt "${newest:-0}" ] && newest=${dir##*/}
    done
    [ -n "$newest" ] && echo "$newest"
}

# The dashboard's tests say that they go without where packages have none.
have_chromium() { [ -n "$NO_CHROMIUM" ] || have chromium || ! have apt-get; }

usable_postgresql() {
    local program version
    for program in postgres initdb pg_basebackup pg_ctl psql; do
        [ -x "$1/$program" ] || return 1
    done
    version=$("$1/postgres" --version)
    version=${version#*) }
    [ "${version%%[!0-9]*}" -ge "$PG_MAJOR_MIN" ]
}

# The file that a chain of symbolic links leads to; `readlink -f` is not on every macOS.
follow() {
    local path=$1 target
    while target=$(readlink "$path"); do
        case "$target" in
        /*) path=$target ;;
        *) path=${path%/*}/$target ;;
        esac
    done
    echo "$path"
}

# Debian splits off what `python3 -m venv` needs.
have_python() { have python3 && python3 -c 'import ensurepip, venv' >/dev/null 2>&1; }

install_tools() {
    say "missing: $*"
    if have apt-get; then
        install_with_apt "$@"
    elif have brew; then
        install_with_brew "$@"
    else
        fail "no apt-get or brew here. Please install with this system's package manager: $*
    (postgresql: the server, version $PG_MAJOR_MIN or newer, with contrib; cc: a C compiler; python: python3 with venv;
    node: node and npm)"
    fi
}

install_with_brew() {
    local tool packages=""
    for tool in "$@"; do
        case "$tool" in
        cc) fail "the C compiler is missing: run xcode-select --install" ;;
        libclang | hypopg) ;;
        postgresql) packages="$packages postgresql@16" ;;
        *) packages="$packages $tool" ;;
        esac
    done
    say "brew install$packages"
    # shellcheck disable=SC2086 # a list of words
    brew install $packages
}

# apt -------------------------------------------------------------------------------------------------------------

SUDO=""
APT_CHANGED=""

install_with_apt() {
    local tool packages="" services=""
    for tool in "$@"; do
        case "$tool" in
        postgresql) packages="$packages postgresql postgresql-contrib" ;;
        cc) packages="$packages gcc libc6-dev" ;;
        libclang) packages="$packages libclang-dev" ;;
        hypopg | chromium) ;;
        pgbouncer) packages="$packages pgbouncer" services="$services pgbouncer" ;;
        redis) packages="$packages redis-server" services="$services redis-server" ;;
        python) packages="$packages python3 python3-venv" ;;
        node) packages="$packages nodejs npm" ;;
        esac
    done
    become_root "$packages"
    trap restore_system EXIT
    say "no service is started during the installation"
    prevent_starts
    apt update
    case "$packages" in
    *postgresql*) prevent_system_cluster ;;
    esac
    # shellcheck disable=SC2086 # a list of words
    [ -z "$packages" ] || apt install -y --no-install-recommends $packages
    case " $* " in
    # Its package is named after the server's version, which may have been installed only now.
    *" hypopg "*) apt install -y --no-install-recommends "postgresql-$(debian_major)-hypopg" || NO_HYPOPG=1 ;;
    esac
    case " $* " in
    *" chromium "*) apt install -y --no-install-recommends chromium || NO_CHROMIUM=1 ;;
    esac
    [ -z "$NO_CHROMIUM" ] || say "there is no Chromium; the dashboard is not tested in a browser"
    [ -z "$NO_HYPOPG" ] || say "there is no HypoPG for this server; the tests of index advice do with estimates"
    disable_services "$services"
    restore_system
    trap - EXIT
}

apt() {
    say "apt-get $*"
    $SUDO env DEBIAN_FRONTEND=noninteractive apt-get -qq "$@"
}

become_root() {
    [ "$(id -u)" -ne 0 ] || return 0
    if have sudo && sudo -n true 2>/dev/null; then
        SUDO="sudo -n"
    elif have sudo && [ -t 0 ]; then
        say "sudo asks for your password, to install:$1"
        SUDO="sudo"
    else
        fail "packages are missing and this user may not install them. Run as root:
    apt-get update && apt-get install -y --no-install-recommends$1"
    fi
}

# Package scripts ask this file before they start a service; 101 forbids it.
prevent_starts() {
    [ ! -e "$POLICY" ] || return 0
    APT_CHANGED="$APT_CHANGED policy"
    printf '#!/bin/sh\nexit 101\n' | $SUDO tee "$POLICY" >/dev/null
    $SUDO chmod 755 "$POLICY"
}

# Otherwise the server's package creates a cluster that every boot starts.
prevent_system_cluster() {
    [ -e "$CREATECLUSTER" ] || apt install -y --no-install-recommends postgresql-common
    if ! grep -q '^create_main_cluster' "$CREATECLUSTER"; then
        APT_CHANGED="$APT_CHANGED cluster"
        echo 'create_main_cluster = false' | $SUDO tee -a "$CREATECLUSTER" >/dev/null
    fi
}

# The packages were not there before, so nobody relies on their services.
disable_services() {
    local service
    have systemctl || return 0
    for service in $1; do
        say "systemctl disable $service"
        $SUDO systemctl disable --quiet "$service" >/dev/null 2>&1 || true
    done
}

restore_system() {
    case "$APT_CHANGED" in *policy*) $SUDO rm -f "$POLICY" ;; esac
    case "$APT_CHANGED" in *cluster*) $SUDO sed -i '/^create_main_cluster = false$/d' "$CREATECLUSTER" ;; esac
    APT_CHANGED=""
}

# Drivers ---------------------------------------------------------------------------------------------------------

# Whether the drivers are installed as they are asked for now.
stamped() {
    case "$1" in
    python) [ -x .venv/bin/python ] && cmp -s "$DRIVERS/requirements.txt" "$STAMPS/requirements.txt" ;;
    node) [ -d "$DRIVERS/node_modules" ] && cmp -s "$DRIVERS/package-lock.json" "$STAMPS/package-lock.json" ;;
    esac
}

install_python_drivers() {
    ! stamped python || return 0
    say "installing $DRIVERS/requirements.txt into .venv"
    # A link to a Python that is gone stays broken unless it is made anew.
    [ -x .venv/bin/python ] || rm -rf .venv
    [ -x .venv/bin/pip ] || python3 -m venv --clear .venv
    .venv/bin/python -m pip install --quiet --disable-pip-version-check -r "$DRIVERS/requirements.txt"
    stamp "$DRIVERS/requirements.txt"
}

install_node_drivers() {
    ! stamped node || return 0
    say "installing $DRIVERS/package.json"
    (cd "$DRIVERS" && npm ci --no-audit --no-fund --loglevel=error)
    stamp "$DRIVERS/package-lock.json"
}

stamp() {
    mkdir -p "$STAMPS"
    cp "$1" "$STAMPS/"
}

main "$@"
