//! Scripts that play what a host and its components are made of; `FOLDER` stands for the folder that
//! all hosts lie in.

/// ssh as far as the operator's side uses it: a host's shell, among files and processes of its
/// own. One that is down answers as ssh does.
pub(super) const SSH: &str = r#"#!/bin/sh
while [ "$1" != -- ]; do shift; done
export SP_HOST=$2
root=FOLDER/hosts/$2
if [ ! -d "$root" ]; then
    echo "ssh: connect to host $2 port 22: No route to host" >&2
    exit 255
fi
exec unshare --mount --pid --fork --kill-child --mount-proc sh -c '
for at in etc var run opt usr/local; do mount --bind "$1/$at" "/$at" || exit 1; done
# A kernel like those that it is for, whatever the one below is set to.
mount --bind "$1/swaps" /proc/swaps && mount --bind "$1/cgroup" /sys/fs/cgroup || exit 1
for at in $(cat /etc/noexec 2>/dev/null); do
    mount --bind "$at" "$at" && mount -o remount,bind,noexec "$at" || exit 1
done
exec sh -c "$2"' sh "$root" "$3"
"#;
/// A line in the shell of a host that has a name of its own, and that nobody reaches by ssh
/// meanwhile.
pub(super) const ON: &str = r#"#!/bin/sh
root=FOLDER/hosts/$1
mkdir -p "$root/run/systemd/system"
cat >FOLDER/line <<LINE
mv $root FOLDER/away
echo $2 >/proc/sys/kernel/hostname
($3)
code=\$?
mv FOLDER/away $root
exit \$code
LINE
ssh -- "$1" "unshare --uts sh FOLDER/line"
"#;
/// systemctl as far as the agent uses it; an API server that is given a flag it does not know
/// does not come up.
pub(super) const SYSTEMCTL: &str = r#"#!/bin/sh
units=/run/units
mkdir -p $units
for unit; do :; done
# The system's own.
case "$unit" in systemd-*) exit 0 ;; esac
case "$1" in
show)
    state=inactive; [ ! -e "$units/$unit.active" ] || state=active
    enabled=disabled; [ ! -e "$units/$unit.enabled" ] || enabled=enabled
    echo "LoadState=loaded"; echo "UnitFileState=$enabled"; echo "ActiveState=$state"
    echo "SubState=x"; echo "NRestarts=0"; echo "Job="; echo "Result=success"
    echo "Type=simple"; echo "ActiveEnterTimestampMonotonic=1" ;;
start | restart)
    echo "$SP_HOST $1 $unit" >>FOLDER/log
    if [ "$unit" = kube-apiserver.service ] && grep -q no-such-flag "/etc/systemd/system/$unit"
    then
        rm -f "$units/$unit.active"
        echo "kube-apiserver has exited" >&2
        exit 1
    fi
    # A member that lies down comes up with another, or not at all.
    if [ "$unit" = etcd.service ] && [ -e /run/down ]; then
        : >"FOLDER/raised.$SP_HOST"
        tries=0
        until [ "$(ls FOLDER/raised.* | wc -l)" -gt 1 ]; do
            tries=$((tries + 1)); [ $tries -lt 100 ] || exit 1
            sleep 0.1
        done
        rm /run/down
    fi
    # Time in which another host's would come between, were it let; once a long one.
    sleep "$(cat /run/slow 2>/dev/null || echo 0.05)"
    rm -f /run/slow
    : >"$units/$unit.active"
    [ "$unit" != etcd.service ] || mkdir -p /var/lib/etcd/member
    # A kubelet that is let in has its certificate, for which another of its authority stands, and
    # goes on with one that it has; its Node stands from then on, and no token is given the name.
    pem=/var/lib/kubelet/pki/kubelet-client-current.pem
    if grep -qs bootstrap-kubeconfig "/etc/systemd/system/$unit" &&
        { [ -e $pem ] || [ ! -e "FOLDER/nodes/$SP_HOST" ]; }
    then
        # It goes on by what has let it in, where it has nothing yet.
        conf=/etc/kubernetes/kubelet.conf
        test -s $conf || cat /etc/kubernetes/bootstrap-kubelet.conf >$conf
        mkdir -p /var/lib/kubelet/pki FOLDER/nodes
        test -e $pem || cat /etc/kubernetes/pki/kube-proxy.crt >$pem
        echo "$SP_HOST" >"FOLDER/nodes/$SP_HOST"
    fi
    echo "$SP_HOST up $unit" >>FOLDER/log ;;
reload) echo "$SP_HOST reload $unit" >>FOLDER/log ;;
stop)
    echo "$SP_HOST stop $unit" >>FOLDER/log
    # Once it takes its time.
    sleep "$(cat /run/slow-stop 2>/dev/null || echo 0)"
    rm -f /run/slow-stop "$units/$unit.active" ;;
enable) : >"$units/$unit.enabled" ;;
disable) rm -f "$units/$unit.enabled" ;;
esac
"#;
/// The last words of a unit.
pub(super) const JOURNALCTL: &str = "#!/bin/sh\necho 'unknown flag: --no-such-flag'\n";
/// A member that is ill for as many questions as a file has lines; those of hosts that are down
/// do not answer.
pub(super) const ETCDCTL: &str = r#"#!/bin/sh
echo "$SP_HOST asks etcdctl" >>FOLDER/log
health=true
if [ -s /run/ill ]; then sed -i 1d /run/ill; health=false; fi
[ ! -e /run/down ] || health=false
case "$*" in
*"endpoint health"*)
    own=$health
    for at in $(echo "$1" | sed 's/--endpoints=//; s/,/ /g'); do
        health=$own; ! grep -qs "^${at#https://}$" FOLDER/dead || health=false
        all="$all${all:+,}{\"endpoint\":\"$at\",\"health\":$health,\"error\":\"no leader\"}"
    done
    echo "[$all]" ;;
*"member list"*)
    # Without a majority it says what it knows alone.
    if [ -e /run/alone ]; then case "$*" in *--consistency=s*) ;; *) exit 1 ;; esac; fi
    cat FOLDER/members ;;
*)
    for at in $(echo "$1" | sed 's/--endpoints=//; s/,/ /g'); do
        status='"Status":{"header":{"cluster_id":7,"member_id":1},"leader":1}'
        all="$all${all:+,}{\"Endpoint\":\"$at\",$status}"
    done
    echo "[$all]" ;;
esac
"#;
/// An API that is well, but on hosts that are down.
pub(super) const KUBECTL: &str = r#"#!/bin/sh
echo "$SP_HOST asks kubectl" >>FOLDER/log
for at in $(cat FOLDER/dead 2>/dev/null); do
    case "$*" in *"--server=https://$at "*) echo 'connection refused' >&2; exit 1 ;; esac
done
case "$*" in
*/readyz*) [ ! -e /run/down ] || exit 1; printf ok ;;
*"delete --raw=/api/v1/nodes/n1"*) rm FOLDER/nodes/* ;;
*delete\ --raw=*) echo "${*##*=}" >>FOLDER/deleted ;;
*certificatesigningrequests*) cat FOLDER/requests 2>/dev/null || echo '{"items":[]}' ;;
*fieldSelector=metadata.name%3Dn1*)
    at=$(cat FOLDER/nodes/* 2>/dev/null)
    [ -n "$at" ] || { echo '{"items":[]}'; exit; }
    of="\"addresses\":[{\"type\":\"InternalIP\",\"address\":\"$at\"}]"
    ready='"conditions":[{"type":"Ready","status":"True"}]'
    echo "{\"items\":[{\"metadata\":{\"name\":\"n1\"},\"status\":{$of,$ready}}]}" ;;
*/leases/*) echo "{\"spec\":{\"holderIdentity\":\"m1_1\",\"renewTime\":\"$(date -u +%FT%TZ)\"}}" ;;
*) echo '{"items":[{"metadata":{"name":"n1"},"status":{"conditions":[{"type":"Ready","status":"True"}]}}]}' ;;
esac
"#;
/// An api-lb that has every server up.
pub(super) const BALANCER: &str = r#"#!/bin/sh
echo "$SP_HOST asks api-lb" >>FOLDER/log
echo '{"backends":[{"servers":[{"name":"m1","state":"up"},{"name":"m2","state":"up"},{"name":"m3","state":"up"}]}]}'
"#;
/// A vip-daemon that holds the address on the first master.
pub(super) const ADDRESS: &str = r#"#!/bin/sh
holding=false; [ "$SP_HOST" != 192.0.2.11 ] || holding=true
echo "{\"routers\":[{\"name\":\"k8s-api\",\"holding\":$holding}]}"
"#;
