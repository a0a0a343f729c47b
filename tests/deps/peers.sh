#!/bin/sh
# Gets the programs that tests run against or with: downloaded with apt together with what
# they need beyond this system, and unpacked into a folder, never installed. So no service
# starts, no port is taken, no package of the system changes.
#
#   DIR/root   the unpacked packages
#   DIR/bin    the programs, each started with the libraries it came with
#
# Usage: peers.sh [DIR]; without DIR it is .deps/peers.
set -eu

here=$(cd "$(dirname "$0")" && pwd)
out=${1:-$here/../../.deps/peers}
packages="haproxy keepalived nginx libnginx-mod-stream etcd-server etcd-client tcpdump wrk debootstrap systemd-container"
programs="haproxy keepalived nginx etcd etcdctl tcpdump wrk debootstrap systemd-nspawn wget"

mkdir -p "$out"
out=$(cd "$out" && pwd)
exec 9>"$out/lock"
flock 9

# The programs are started by absolute paths: a folder that moved is made anew.
stamp=$({ cat "$here/peers.sh"; echo "$out"; } | sha256sum | cut -d ' ' -f 1)
[ "$(cat "$out/stamp" 2>/dev/null)" != "$stamp" ] || exit 0

echo "deps: unpacking $packages"
rm -rf "$out/stamp" "$out/debs" "$out/root" "$out/bin"
mkdir -p "$out/debs/partial" "$out/root" "$out/bin"

# Without root apt may not lock, nor change user for the download; both only matter to installs.
download() {
    # shellcheck disable=SC2086 # a list of packages
    apt-get -qq -y --no-install-recommends --download-only \
        -o Debug::NoLocking=1 -o APT::Sandbox::User=root \
        -o Dir::Cache::archives="$out/debs" -o Dir::Cache::pkgcache= -o Dir::Cache::srcpkgcache= \
        install $packages >/dev/null
}
download 2>/dev/null || { apt-get -qq update && download; }

# apt leaves out what the system has installed already; those peers are fetched by themselves.
for package in $packages; do
    set -- "$out/debs/${package}"_*.deb
    [ -e "$1" ] || (cd "$out/debs" && apt-get -qq download "$package" >/dev/null 2>&1)
done
for deb in "$out"/debs/*.deb; do
    dpkg-deb -x "$deb" "$out/root"
done
rm -rf "$out/debs"

libraries=$(find "$out/root" -name 'lib*.so*' -path '*/lib/*' ! -path '*/cryptsetup/*' -printf '%h\n' | sort -u | paste -sd :)

# A program that finds a library among the unpacked ones is started with them, others as they are.
for name in $programs; do
    program=$(find "$out/root" -type f -name "$name" -perm -u+x -path '*bin/*' | head -n 1)
    # What the packages need beside them, the system may have.
    [ -n "$program" ] || ! command -v "$name" >/dev/null || continue
    [ -n "$program" ] || { echo "deps: no $name in the unpacked packages" >&2; exit 1; }
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

echo "$stamp" >"$out/stamp"
