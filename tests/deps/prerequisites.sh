#!/bin/sh
# Says in one sentence what this machine lacks for a target of the Makefile, and fails;
# says nothing where all is there. Usage: prerequisites.sh [debian|root|rust|cc]...
set -eu

rust_wanted=1.90

lacking() {
    echo "$1" >&2
    exit 1
}

debian() {
    id_like=$(. /etc/os-release 2>/dev/null && echo "${ID:-} ${ID_LIKE:-}")
    case " $id_like " in
        *" debian "*) ;;
        *) lacking "the packages come through apt from Debian 12 or a relative of it, and this is ${id_like:-another system}" ;;
    esac
}

root() {
    [ "$(id -u)" = 0 ] ||
        lacking "this needs root (network namespaces, addresses and raw sockets in them, packages); run it with sudo"
}

rust() {
    command -v cargo >/dev/null ||
        lacking "no cargo in PATH; install Rust $rust_wanted or newer with rustfmt and clippy"
    version=$(rustc --version | cut -d ' ' -f 2)
    [ "$(printf '%s\n' "$rust_wanted" "$version" | sort -V | head -n 1)" = "$rust_wanted" ] ||
        lacking "rustc $version is older than the Rust $rust_wanted this is written for; install that or newer"
}

# Rust links with it, ring's C parts and one of flannel's backends are compiled by it.
cc() {
    made=$(mktemp)
    trap 'rm -f "$made"' EXIT
    printf 'int main(void) { return 0; }\n' | command cc -x c -o "$made" - 2>/dev/null ||
        lacking "no cc in PATH that makes programs; run \`make deps\`, or install gcc and libc6-dev"
}

for wanted in "$@"; do
    "$wanted"
done
