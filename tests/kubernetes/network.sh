#!/bin/sh
# Builds what Pods need beside Kubernetes into .kubernetes/network, once: CNI's programs,
# flannel, CoreDNS, and images of CoreDNS and of a pause that needs no registry. As long as the
# pinned modules, these scripts and the Go version stay the same, a second call does nothing.
set -eu

here=$(cd "$(dirname "$0")" && pwd)
what=network
. "$here/go.sh"
programs="bridge host-local loopback portmap flanneld coredns"
images="coredns.tar pause.tar"

whole() {
    for name in $programs $images; do
        [ -s "$out/network/$name" ] || return 1
    done
}

needs_go "$here/coredns/go.mod"
compiler=$("$here/../deps/prerequisites.sh" cc 2>&1) || skip "$compiler"
locked network

stamp=$(cd "$here" && stamp_of cni/go.* flannel/go.* coredns/go.* pause/* network.sh go.sh image.sh)
if [ "$(cat "$out/network/stamp" 2>/dev/null)" = "$stamp" ] && whole; then
    echo "network: built already, in .kubernetes/network"
    exit 0
fi

fresh=$out/network.fresh
rm -rf "$fresh"
mkdir -p "$fresh"

build() {
    gently go build -p "$jobs" -trimpath -buildvcs=false -tags notest,grpcnotrace,netgo,osusergo "$@"
}

echo "network: building CNI's programs, flannel and CoreDNS with $go, $jobs at a time (minutes, once)"
(cd "$here/cni" && CGO_ENABLED=0 build -ldflags "-s -w" -o "$fresh/" tool)
# One of flannel's backends is written in C.
version=$(cd "$here/flannel" && go list -m -f '{{.Version}}' github.com/flannel-io/flannel)
(cd "$here/flannel" && CGO_ENABLED=1 build -o "$fresh/flanneld" \
    -ldflags "-s -w -extldflags -static -X github.com/flannel-io/flannel/pkg/version.Version=$version" \
    github.com/flannel-io/flannel)
(cd "$here/coredns" && CGO_ENABLED=0 build -ldflags "-s -w" -o "$fresh/coredns" github.com/coredns/coredns)
(cd "$here/pause" && CGO_ENABLED=0 build -ldflags "-s -w" -o "$fresh/pause" .)

version=$(cd "$here/coredns" && go list -m -f '{{.Version}}' github.com/coredns/coredns)
"$here/image.sh" "$fresh/coredns" "$fresh/coredns.tar" "registry.k8s.io/coredns/coredns:$version"
# Of every version that is laid down (installer/src/versions.rs).
# shellcheck disable=SC2046 # one word each
"$here/image.sh" "$fresh/pause" "$fresh/pause.tar" \
    $(printf 'registry.k8s.io/pause:%s ' 3.9 3.10 3.10.1 3.10.2)

echo "$stamp" >"$fresh/stamp"
rm -rf "$out/network"
mv "$fresh" "$out/network"
echo "network: ready in .kubernetes/network"
