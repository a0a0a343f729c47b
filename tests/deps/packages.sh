#!/bin/sh
# Installs the packages a build and the lab call by name, where they are missing. None of
# them brings a service that starts; the programs tests run against are only unpacked
# (peers.sh).
set -eu

# gcc, libc6-dev: Rust's linker and ring's C parts. The rest is called by the lab.
wanted="gcc libc6-dev iproute2 nftables procps openssh-client openssl curl ca-certificates"

missing=
for package in $wanted; do
    case $(dpkg-query -W -f '${db:Status-Status}' "$package" 2>/dev/null || true) in
        installed) ;;
        *) missing="$missing $package" ;;
    esac
done
[ -n "$missing" ] || exit 0

[ "$(id -u)" = 0 ] || {
    echo "missing packages:$missing; install them, or run this as root" >&2
    exit 1
}
echo "deps: installing$missing"
# Where needrestart is there, it lists what it would have restarted.
export DEBIAN_FRONTEND=noninteractive NEEDRESTART_MODE=l
install() {
    # shellcheck disable=SC2086 # a list of packages
    apt-get -qq -y -o Dpkg::Use-Pty=0 install --no-install-recommends $missing >/dev/null
}
# A fresh machine has no package lists, or old ones.
install 2>/dev/null || { apt-get -qq update && install; }
