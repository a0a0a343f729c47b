#!/bin/sh
# Builds the real Kubernetes commands and etcd into .kubernetes/bin, once: as long as
# the pinned modules, these scripts and the Go version stay the same, a second call does
# nothing. STERNPOST_K8S_BIN=DIR names ready binaries instead; then nothing is built.
# "build.sh oldest" builds the oldest Kubernetes that is laid down into .kubernetes/oldest.
set -eu

here=$(cd "$(dirname "$0")" && pwd)
what=kubernetes
. "$here/go.sh"
kubernetes="kube-apiserver kube-controller-manager kube-proxy kube-scheduler kubeadm kubectl kubelet"
etcd="etcd etcdctl"
case ${1:-newest} in
newest) modules=$here folder=bin ;;
oldest) modules=$here/oldest folder=oldest ;;
*) echo "build.sh: $1 is neither newest nor oldest" >&2; exit 2 ;;
esac

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

export CGO_ENABLED=0
needs_go "$modules/go.mod" ", or name ready binaries with STERNPOST_K8S_BIN=DIR"
locked "$folder"

stamp=$(stamp_of "$modules/go.mod" "$modules/go.sum" "$here/etcd/go.mod" "$here/etcd/go.sum" "$here/build.sh" "$here/go.sh")
if [ "$(cat "$out/$folder/stamp" 2>/dev/null)" = "$stamp" ] && [ -z "$(missing_from "$out/$folder")" ]; then
    echo "kubernetes: built already, in .kubernetes/$folder"
    exit 0
fi

fresh=$out/$folder.fresh
rm -rf "$fresh"
mkdir -p "$fresh"

# What upstream's release build passes: grpcnotrace lets the linker drop half of text/template's users.
build() {
    gently go build -p "$jobs" -trimpath -buildvcs=false -tags selinux,notest,grpcnotrace "$@"
}

cd "$modules"
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

echo "$stamp" >"$fresh/stamp"
rm -rf "${out:?}/$folder"
mv "$fresh" "$out/$folder"
echo "kubernetes: ready in .kubernetes/$folder"
