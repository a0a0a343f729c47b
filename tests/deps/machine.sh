#!/bin/sh
# Makes the root file system that booted machines lay their overlays on, once: Debian with
# systemd as process 1, sshd, and no identity of its own. The mirror is the one apt uses.
set -eu

here=$(cd "$(dirname "$0")" && pwd)
deps=$here/../../.deps
mkdir -p "$deps"
deps=$(cd "$deps" && pwd)
out=$deps/machine
include=systemd,systemd-sysv,dbus,iproute2,iputils-ping,nftables,openssh-server,procps,sudo

exec 9>"$deps/machine.lock"
flock 9

stamp=$(sha256sum "$here/machine.sh" | cut -d ' ' -f 1)
[ "$(cat "$deps/machine.stamp" 2>/dev/null)" != "$stamp" ] || [ ! -x "$out/usr/lib/systemd/systemd" ] || exit 0

[ "$(id -u)" = 0 ] || {
    echo "SKIPPED machine (needs: machine): a root file system with owners and devices in it takes root; run make deps as root" >&2
    exit 0
}

codename=$(. /etc/os-release && echo "$VERSION_CODENAME")
mirror=$(apt-get indextargets --format '$(REPO_URI)' 'Created-By: Packages' "Codename: $codename" 'Component: main' | head -n 1)
[ -n "$mirror" ] || {
    echo "SKIPPED machine (needs: machine): apt has no archive of $codename configured to make a machine from; add one and run make deps" >&2
    exit 0
}
eval "$(apt-config shell proxy Acquire::http::Proxy)"
[ -z "${proxy:-}" ] || export http_proxy="$proxy"

echo "deps: making the root file system of booted machines ($codename, about a minute, once)"
fresh=$deps/machine.fresh
log=$deps/machine.log
rm -rf --one-file-system "$fresh" "$deps/machine.stamp"
trap 'rm -rf --one-file-system "$fresh"' EXIT
# What it mounts inside goes with its own mount namespace, however it ends.
PATH=$deps/peers/bin:$PATH unshare --mount debootstrap --variant=minbase --include="$include" \
    "$codename" "$fresh" "$mirror" >"$log" 2>&1 </dev/null || {
    tail -n 20 "$log" >&2
    echo "SKIPPED machine (needs: machine): debootstrap failed, as it does where devices or mounts are not allowed; the whole of it is in .deps/machine.log" >&2
    exit 0
}

# Each machine makes its own identity as it boots. Debian makes sshd's keys when it installs
# it; one of a kind that takes no time is enough.
rm -f "$fresh"/etc/ssh/ssh_host_*
: >"$fresh/etc/machine-id"
echo "HostKey /etc/ssh/ssh_host_ed25519_key" >"$fresh/etc/ssh/sshd_config.d/keys.conf"
mkdir -p "$fresh/etc/systemd/system/ssh.service.d"
cat >"$fresh/etc/systemd/system/ssh.service.d/keys.conf" <<'UNIT'
[Service]
ExecStartPre=
ExecStartPre=/bin/sh -c 'test -e /etc/ssh/ssh_host_ed25519_key || ssh-keygen -q -t ed25519 -N "" -f /etc/ssh/ssh_host_ed25519_key'
ExecStartPre=/usr/sbin/sshd -t
UNIT
rm -rf --one-file-system "$fresh"/var/cache/apt/archives/*.deb "$fresh"/var/lib/apt/lists/*

rm -rf --one-file-system "$out"
mv "$fresh" "$out"
echo "$stamp" >"$deps/machine.stamp"
