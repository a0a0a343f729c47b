#!/bin/sh
# Gets the browser that the status page is tried in: the system's chromium where there is
# one, else Debian's, downloaded with apt and unpacked (apt.sh).
#
#   DIR/bin/chromium   starts it, with the libraries it came with
#
# Usage: browser.sh [DIR]; without DIR it is .deps/browser.
set -eu

here=$(cd "$(dirname "$0")" && pwd)
packages="chromium-headless-shell chromium-common fonts-dejavu-core"
place=${1:-$here/../../.deps/browser}
. "$here/apt.sh"

installed=$(command -v chromium || command -v chromium-headless-shell || true)
if [ -n "$installed" ] && [ -z "${STERNPOST_UNPACK_BROWSER:-}" ]; then
    mkdir -p "$place/bin"
    ln -sfn "$installed" "$place/bin/chromium"
    exit 0
fi

begin "$place" "$here/browser.sh"
# A test that needs it is skipped and counted where the archive has none.
fetch with_needs || {
    echo "SKIPPED browser (needs: browser): apt has no chromium-headless-shell here; install a chromium and run make deps" >&2
    exit 0
}
program=$(find "$out/root" -type f -name 'chromium-headless-shell' -perm -u+x -path '*lib*' | head -n 1)
[ -n "$program" ] || program=$(find "$out/root" -type f -name 'headless_shell' -perm -u+x | head -n 1)
[ -n "$program" ] || lacking chromium-headless-shell
libraries=$(find "$out/root" -name 'lib*.so*' -path '*/lib/*' -printf '%h\n' | sort -u | paste -sd :)
printf '#!/bin/sh\nLD_LIBRARY_PATH=%s exec %s "$@"\n' "${libraries:-$out}" "$program" >"$out/bin/chromium"
chmod +x "$out/bin/chromium"
finish
