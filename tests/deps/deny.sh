#!/bin/sh
# Builds cargo-deny, which `make check` asks about licences, bans and sources, where it is
# not installed. Unoptimised: our graph is small, and this builds in half the time.
set -eu

root=$(cd "$(dirname "$0")/../.." && pwd)
version=0.20.2

! command -v cargo-deny >/dev/null || exit 0
[ ! -x "$root/.deps/cargo/bin/cargo-deny" ] || exit 0

echo "deps: building cargo-deny $version (minutes, once)"
mkdir -p "$root/.deps"
log=$root/.deps/cargo-deny.log
target=$root/.deps/cargo-deny.build
trap 'rm -rf "$target"' EXIT
CARGO_PROFILE_DEV_DEBUG=0 cargo install cargo-deny --locked --version "$version" --debug \
    --root "$root/.deps/cargo" --target-dir "$target" >"$log" 2>&1 || {
    tail -n 20 "$log" >&2
    echo "cargo-deny did not build; the whole of it is in .deps/cargo-deny.log" >&2
    exit 1
}
