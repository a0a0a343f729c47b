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

# Whether the installed Go is new enough for a go.mod; sets go and wanted to both.
new_enough() {
    go=$(go env GOVERSION)
    wanted=go$(sed -n 's/^go //p' "$1")
    [ "$(printf '%s\n' "$wanted" "$go" | sort -V | head -n 1)" = "$wanted" ]
}

# Goes on where there is a Go that is.
needs_go() {
    command -v go >/dev/null || skip "no Go here; install Go 1.26 or newer${2:-}"
    new_enough "$1" || skip "$go is older than the $wanted that $1 asks for; install that${2:-}"
}

# On many cores the builds of cargo go first. On few, what goes last does not end in time.
gently() {
    if [ "$(nproc)" -ge 4 ]; then nice -n 10 "$@"; else "$@"; fi
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
