#!/bin/sh
# Gets the programs that tests run against or with: downloaded with apt together with what
# they need beyond this system, and unpacked (apt.sh); each is started with the libraries it
# came with.
#
# Usage: peers.sh [DIR]; without DIR it is .deps/peers.
set -eu

here=$(cd "$(dirname "$0")" && pwd)
packages="haproxy keepalived nginx libnginx-mod-stream etcd-server etcd-client tcpdump wrk debootstrap systemd-container"
programs="haproxy keepalived nginx etcd etcdctl tcpdump wrk debootstrap systemd-nspawn wget"
. "$here/apt.sh"

begin "${1:-$here/../../.deps/peers}" "$here/peers.sh"
fetch with_needs

libraries=$(find "$out/root" -name 'lib*.so*' -path '*/lib/*' ! -path '*/cryptsetup/*' -printf '%h\n' | sort -u | paste -sd :)

# A program that finds a library among the unpacked ones is started with them, others as they are.
for name in $programs; do
    program=$(unpacked "$name")
    # What the packages need beside them, the system may have.
    [ -n "$program" ] || ! command -v "$name" >/dev/null || continue
    [ -n "$program" ] || lacking "$name"
    if [ "$name" = debootstrap ]; then
        printf '#!/bin/sh\nDEBOOTSTRAP_DIR=%s exec %s "$@"\n' "$out/root/usr/share/debootstrap" "$program" >"$out/bin/$name"
    elif LD_LIBRARY_PATH=$libraries ldd "$program" 2>/dev/null | grep -q " => $out/root"; then
        printf '#!/bin/sh\nLD_LIBRARY_PATH=%s exec %s "$@"\n' "$libraries" "$program" >"$out/bin/$name"
    else
        ln -s "$program" "$out/bin/$name"
        continue
    fi
    chmod +x "$out/bin/$name"
done
finish
