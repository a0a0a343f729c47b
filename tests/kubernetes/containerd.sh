#!/bin/sh
# Builds containerd 2, its shim and ctr into .kubernetes/containerd, once: Debian's containerd is
# of the generation before, which the newest kubelet refuses. As long as the pinned modules, this
# script and the Go version stay the same, a second call does nothing.
set -eu

here=$(cd "$(dirname "$0")" && pwd)
what=network
. "$here/go.sh"
programs="containerd containerd-shim-runc-v2 ctr"

whole() {
    for name in $programs; do
        [ -x "$out/containerd/$name" ] || return 1
    done
}

needs_go "$here/containerd/go.mod"
locked containerd

stamp=$(cd "$here" && stamp_of containerd/go.* containerd.sh go.sh)
if [ "$(cat "$out/containerd/stamp" 2>/dev/null)" = "$stamp" ] && whole; then
    echo "network: containerd built already, in .kubernetes/containerd"
    exit 0
fi

fresh=$out/containerd.fresh
rm -rf "$fresh"
mkdir -p "$fresh"

cd "$here/containerd"
version=$(go list -m -f '{{.Version}}' github.com/containerd/containerd/v2)
echo "network: building containerd $version with $go, $jobs at a time (a minute or two, once)"
CGO_ENABLED=0 gently go build -p "$jobs" -trimpath -buildvcs=false -o "$fresh/" \
    -tags netgo,osusergo,static_build,urfave_cli_no_docs \
    -ldflags "-s -w -X github.com/containerd/containerd/v2/version.Version=$version" tool

echo "$stamp" >"$fresh/stamp"
rm -rf "${out:?}/containerd"
mv "$fresh" "$out/containerd"
echo "network: ready in .kubernetes/containerd"
