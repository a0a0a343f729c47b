#!/bin/sh
# Downloads packages with apt and unpacks them into a folder, never installed: no service
# starts, and no package of the system changes. Links to their programs stand in bin.
#
# Usage: unpack.sh DIR "PACKAGE ..." "PROGRAM ..."
set -eu

here=$(cd "$(dirname "$0")" && pwd)
out=$1 packages=$2 programs=$3

mkdir -p "$out"
out=$(cd "$out" && pwd -P)
exec 9>"$out/lock"
flock 9

stamp=$({ cat "$here/unpack.sh"; echo "$out $packages $programs"; } | sha256sum | cut -d ' ' -f 1)
[ "$(cat "$out/stamp" 2>/dev/null)" != "$stamp" ] || exit 0

echo "deps: unpacking $packages"
rm -rf "$out/stamp" "$out/debs" "$out/root" "$out/bin"
mkdir -p "$out/debs" "$out/root" "$out/bin"

download() {
    # shellcheck disable=SC2086 # a list of packages
    (cd "$out/debs" && apt-get -qq -o APT::Sandbox::User=root download $packages >/dev/null)
}
download 2>/dev/null || { apt-get -qq update && download; }
for deb in "$out"/debs/*.deb; do
    dpkg-deb -x "$deb" "$out/root"
done
rm -rf "$out/debs"

for name in $programs; do
    program=$(find "$out/root" -type f -name "$name" -perm -u+x -path '*bin/*' | head -n 1)
    [ -n "$program" ] || { echo "deps: no $name in the unpacked packages" >&2; exit 1; }
    ln -s "$program" "$out/bin/$name"
done

echo "$stamp" >"$out/stamp"
