#!/bin/sh
# Gets what runs the containers of a real kubelet in tests: containerd and runc, the one static
# program that is its image, and iptables for a kube-proxy that is too old for nftables. What they
# need beside themselves is in every system with systemd and nftables.
#
# Usage: runtime.sh [DIR]; without DIR it is .deps/runtime.
set -eu

here=$(cd "$(dirname "$0")" && pwd)
exec "$here/unpack.sh" "${1:-$here/../../.deps/runtime}" \
    "containerd runc busybox-static iptables" "containerd containerd-shim-runc-v2 ctr runc busybox xtables-nft-multi"
