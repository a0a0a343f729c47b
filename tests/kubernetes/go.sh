# Sourced by the builds of this folder, which say as `what` what a test that needs them calls
# it. The installed Go builds, whatever it is: no toolchain is downloaded.
# shellcheck shell=sh disable=SC2154 # what and here are theirs

root=$(cd "$here/../.." && pwd)
out=$root/.kubernetes
jobs=${STERNPOST_JOBS:-$(nproc)}
export GOTOOLCHAIN=local GOWORK=off GOFLAGS=

# The line the test runner reads; see tests/src/requirement.rs.
skip() {
    echo "SKIPPED $what (needs: $what): $1" >&2
    exit 0
}

# Goes on where the installed Go is new enough for a go.mod, and sets go to it.
needs_go() {
    command -v go >/dev/null || skip "no Go here; install Go 1.26 or newer${2:-}"
    go=$(go env GOVERSION)
    wanted=$(sed -n 's/^go //p' "$1")
    [ "$(printf '%s\n' "go$wanted" "$go" | sort -V | head -n 1)" = "go$wanted" ] ||
        skip "$go is older than the go$wanted that $1 asks for; install that${2:-}"
}

# One build at a time of what belongs into .kubernetes/$1; others wait.
locked() {
    mkdir -p "$out"
    exec 9>"$out/$1.lock"
    flock 9
}

# What the Go in use and these files are: as long as they stay the same, nothing is built.
stamp_of() {
    { echo "$go"; cat "$@"; } | sha256sum | cut -d ' ' -f 1
}
