#!/bin/sh
# Gets ufw with all that it needs beyond what a booted machine has, to be unpacked onto one: how it
# takes what it is told, only it shows.
#
# Usage: firewall.sh [DIR]; without DIR it is .deps/firewall.
set -eu

here=$(cd "$(dirname "$0")" && pwd)
packages=ufw
status=$here/../../.deps/machine/var/lib/dpkg/status
[ -f "$status" ] || {
    echo "SKIPPED firewall (needs: firewall): no .deps/machine that it could be for; the lines above say why" >&2
    exit 0
}
. "$here/apt.sh"

begin "${1:-$here/../../.deps/firewall}" "$here/firewall.sh" "$status"
# What a machine has is left out, not what this system has.
APT_CONFIG=$out/debs/apt.conf
export APT_CONFIG
echo "Dir::State::status \"$(cd "$(dirname "$status")" && pwd)/status\";" >"$APT_CONFIG"
fetch with_needs
program=$(unpacked ufw)
[ -n "$program" ] || lacking ufw
ln -s "$program" "$out/bin/ufw"
finish
