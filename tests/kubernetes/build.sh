#!/bin/sh
# Builds the real Kubernetes commands and etcd into .kubernetes/bin, once: as long as
# the pinned modules, this script and the Go version stay the same, a second call does
# nothing. STERNPOST_K8S_BIN=DIR names ready binaries instead; then nothing is built.
set -eu

here=$(cd "$(dirname "$0")" && pwd)
root=$(cd "$here/../.." && pwd)
out=$root/.kubernetes
kubernetes="kube-apiserver kube-controller-manager kube-proxy kube-scheduler kubeadm kubectl kubelet"
etcd="etcd etcdctl"

# The line the test runner reads; see tests/src/requirement.rs.
skip() {
    echo "SKIPPED kubernetes (needs: kubernetes): $1" >&2
    exit 0
}

missing_from() {
    for name in $kubernetes $etcd; do
        [ -x "$1/$name" ] || { echo "$name"; return; }
    done
}

if [ -n "${STERNPOST_K8S_BIN:-}" ]; then
    missing=$(missing_from "$STERNPOST_K8S_BIN")
    [ -z "$missing" ] || {
        echo "STERNPOST_K8S_BIN=$STERNPOST_K8S_BIN has no executable $missing; complete the folder or unset the variable" >&2
        exit 1
    }
    echo "kubernetes: the binaries of STERNPOST_K8S_BIN=$STERNPOST_K8S_BIN"
    exit 0
fi

# The installed Go builds, whatever it is: no toolchain is downloaded.
export GOTOOLCHAIN=local GOWORK=off GOFLAGS= CGO_ENABLED=0
command -v go >/dev/null || skip "no Go here; install Go 1.26 or newer, or name ready binaries with STERNPOST_K8S_BIN=DIR"
go=$(go env GOVERSION)
wanted=$(sed -n 's/^go //p' "$here/go.mod")
[ "$(printf '%s\n' "go$wanted" "$go" | sort -V | head -n 1)" = "go$wanted" ] ||
    skip "$go is older than the go$wanted that Kubernetes asks for; install that, or name ready binaries with STERNPOST_K8S_BIN=DIR"

mkdir -p "$out"
exec 9>"$out/lock"
flock 9

stamp=$(cd "$here" && { echo "$go"; cat go.mod go.sum etcd/go.mod etcd/go.sum build.sh; } | sha256sum | cut -d ' ' -f 1)
if [ "$(cat "$out/stamp" 2>/dev/null)" = "$stamp" ] && [ -z "$(missing_from "$out/bin")" ]; then
    echo "kubernetes: built already, in .kubernetes/bin"
    exit 0
fi

jobs=${STERNPOST_JOBS:-$(nproc)}
fresh=$out/fresh
rm -rf "$fresh" "$out/stamp"
mkdir -p "$fresh"

# What upstream's release build passes: grpcnotrace lets the linker drop half of text/template's users.
build() {
    nice -n 10 go build -p "$jobs" -trimpath -buildvcs=false -tags selinux,notest,grpcnotrace "$@"
}

cd "$here"
version=$(go list -m -f '{{.Version}}' k8s.io/kubernetes)
minor=${version#v1.}
stamps=
for package in k8s.io/client-go/pkg/version k8s.io/component-base/version; do
    stamps="$stamps -X $package.gitVersion=$version -X $package.gitMajor=1 -X $package.gitMinor=${minor%%.*} -X $package.gitTreeState=clean"
done
echo "kubernetes: building $version with $go, $jobs at a time (minutes, once)"
build -ldflags "-s -w $stamps" -o "$fresh/" tool

cd "$here/etcd"
echo "kubernetes: building etcd $(go list -m -f '{{.Version}}' go.etcd.io/etcd/server/v3)"
build -ldflags "-s -w" -o "$fresh/etcd" go.etcd.io/etcd/server/v3
build -ldflags "-s -w" -o "$fresh/etcdctl" go.etcd.io/etcd/etcdctl/v3

rm -rf "$out/bin"
mv "$fresh" "$out/bin"
echo "$stamp" >"$out/stamp"
echo "kubernetes: ready in .kubernetes/bin"
