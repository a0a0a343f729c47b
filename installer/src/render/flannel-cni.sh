#!/bin/sh
# Writes the configuration of CNI from its template and what flannel says of its host's network.
# Everything lies below the folder that is given, which is / for the machine itself.
set -eu
root=${1:-}
template=$root/etc/kube-flannel/cni-template.json
target=$root/etc/cni/net.d/10-flannel.conflist

. "$root/run/flannel/subnet.env"
# flannel names the first address of a network, CNI takes the network: /24 or /64 on every host.
ipv4=${FLANNEL_SUBNET:-}
ipv6=${FLANNEL_IPV6_SUBNET:-}
sed -e "s|\"@MTU@\"|$FLANNEL_MTU|" \
    -e "s|@IPV4@|${ipv4%.1/24}.0/24|" \
    -e "s|@IPV6@|${ipv6%1/64}/64|" \
    "$template" >"$target.fresh"
mv "$target.fresh" "$target"
