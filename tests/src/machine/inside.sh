#!/bin/sh
# Run by a machine as it boots, before containers do: what systemd-nspawn keeps from it.
set -eu

if [ -d /sys/fs/cgroup/systemd ]; then
    mount -o remount,bind,rw /sys/fs/cgroup
    for hierarchy in /sys/fs/cgroup/*/; do
        mount -o remount,bind,rw "${hierarchy%/}"
    done
fi

# systemd-nspawn leaves it out; kube-proxy reads there how many connections are kept.
mkdir -p /run/lab-sys
mount -t sysfs sysfs /run/lab-sys
mount -o remount,bind,rw /sys
mkdir -p /sys/module
mount --bind /run/lab-sys/module /sys/module
mount -o remount,bind,ro /sys

# These are the whole kernel's; here they are copies that may be written.
for key in vm/overcommit_memory vm/panic_on_oom kernel/panic kernel/panic_on_oops \
    kernel/keys/root_maxkeys kernel/keys/root_maxbytes \
    fs/inotify/max_user_instances fs/inotify/max_user_watches \
    net/netfilter/nf_conntrack_max; do
    [ -e "/proc/sys/$key" ] || continue
    copy=/run/lab-$(echo "$key" | tr / -)
    cat "/proc/sys/$key" >"$copy"
    mount --bind "$copy" "/proc/sys/$key"
done

# kubelet looks there for what the kernel has killed.
[ -e /dev/kmsg ] || mknod /dev/kmsg c 1 11
