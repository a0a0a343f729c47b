#!/bin/sh
# Gets the browser that the status page is tried in: the system's chromium where there is
# one, else Debian's, downloaded with apt and unpacked into a folder, never installed.
#
#   DIR/bin/chromium   starts it, with the libraries it came with
#
# Usage: browser.sh [DIR]; without DIR it is .deps/browser.
set -eu

here=$(cd "$(dirname "$0")" && pwd)
out=${1:-$here/../../.deps/browser}
mkdir -p "$out/bin"
out=$(cd "$out" && pwd)
exec 9>"$out/lock"
flock 9

stamp=$({ cat "$here/browser.sh"; echo "$out"; } | sha256sum | cut -d ' ' -f 1)
[ "$(cat "$out/stamp" 2>/dev/null)" != "$stamp" ] || [ ! -x "$out/bin/chromium" ] || exit 0

installed=$(command -v chromium || command -v chromium-headless-shell || true)
if [ -n "$installed" ] && [ -z "${STERNPOST_UNPACK_BROWSER:-}" ]; then
    ln -sfn "$installed" "$out/bin/chromium"
    echo "$stamp" >"$out/stamp"
    exit 0
fi

echo "deps: unpacking a browser (about 100 MB, once)"
packages="chromium-headless-shell chromium-common fonts-dejavu-core"
rm -rf "$out/stamp" "$out/debs" "$out/root"
mkdir -p "$out/debs/partial" "$out/root"
download() {
    # shellcheck disable=SC2086 # a list of packages
    apt-get -qq -y --no-install-recommends --download-only \
        -o Debug::NoLocking=1 -o APT::Sandbox::User=root \
        -o Dir::Cache::archives="$out/debs" -o Dir::Cache::pkgcache= -o Dir::Cache::srcpkgcache= \
        install $packages >/dev/null
}
# A test that needs it is skipped and counted where the archive has none.
if ! { download 2>/dev/null || { apt-get -qq update && download; }; }; then
    echo "SKIPPED browser (needs: browser): apt has no chromium-headless-shell here; install a chromium and run make deps" >&2
    exit 0
fi
# apt leaves out what the system has installed already.
for package in $packages; do
    set -- "$out/debs/${package}"_*.deb
    [ -e "$1" ] || (cd "$out/debs" && apt-get -qq download "$package" >/dev/null 2>&1)
done
for deb in "$out"/debs/*.deb; do
    dpkg-deb -x "$deb" "$out/root"
done
rm -rf "$out/debs"

program=$(find "$out/root" -type f -name 'chromium-headless-shell' -perm -u+x -path '*lib*' | head -n 1)
[ -n "$program" ] || program=$(find "$out/root" -type f -name 'headless_shell' -perm -u+x | head -n 1)
[ -n "$program" ] || { echo "deps: no chromium-headless-shell in the unpacked packages" >&2; exit 1; }
libraries=$(find "$out/root" -name 'lib*.so*' -path '*/lib/*' -printf '%h\n' | sort -u | paste -sd :)
printf '#!/bin/sh\nLD_LIBRARY_PATH=%s exec %s "$@"\n' "${libraries:-$out}" "$program" >"$out/bin/chromium"
chmod +x "$out/bin/chromium"
echo "$stamp" >"$out/stamp"
