//! Commands of other programs that the manuals name outside their blocks, and what each is run
//! as on a cluster that serves, in this order; `manual` runs them, `tests/manuals.rs` holds them
//! to the manuals.

pub(crate) struct Said {
    /// As a manual has it.
    pub(crate) command: &'static str,
    /// On which host.
    pub(crate) host: &'static str,
    /// What is run; `LINE` stands for the command.
    pub(crate) run: &'static str,
    /// What it says, where it ends well.
    pub(crate) says: &'static str,
}

const fn said(
    host: &'static str,
    command: &'static str,
    run: &'static str,
    says: &'static str,
) -> Said {
    Said {
        command,
        host,
        run,
        says,
    }
}

/// Of a unit's lines, one that systemd has written.
const JOURNAL: &str = "LINE --no-pager | grep -m 1 'systemd\\[1\\]: Start'";

pub(crate) const SAID: &[Said] = &[
    said(
        "m3",
        "systemctl stop kube-apiserver kube-controller-manager kube-scheduler",
        "LINE && systemctl start kube-apiserver kube-controller-manager kube-scheduler && \
         systemctl is-active kube-apiserver",
        "active",
    ),
    // What is told with it: Pods are started anew, and have a bridge again. A node without any has
    // none yet.
    said(
        "n1",
        "ip link delete cni0",
        "{ ip link show cni0 || ip link add cni0 type bridge; } >/run/lab.link && LINE && ! ip link show cni0 2>/dev/null && echo deleted",
        "deleted",
    ),
    said(
        "m1",
        "kubectl delete",
        "LINE --namespace=kube-system pod --selector=k8s-app=kube-dns && \
         kubectl --namespace=kube-system rollout status deployment/coredns",
        "successfully rolled out",
    ),
    said(
        "m1",
        "kubectl drain n1 --ignore-daemonsets --delete-emptydir-data",
        "LINE",
        "node/n1 drained",
    ),
    // A Deployment's status is of before, where who writes it has just been started anew.
    said(
        "m1",
        "kubectl uncordon n1",
        "LINE && timeout 120 sh -c 'until kubectl --namespace=kube-system get pods --no-headers \
         --selector=k8s-app=kube-dns 2>&1 | grep -q Running; do sleep 1; done' && \
         kubectl --namespace=kube-system rollout status deployment/coredns",
        "node/n1 uncordoned",
    ),
    said("m1", "kubectl get pods -A", "LINE", "coredns-"),
    said("m1", "kubectl get csr", "LINE", "Approved,Issued"),
    said(
        "m1",
        "bootstrap-signer explain --csr NAME",
        "bootstrap-signer explain --csr \"$(kubectl get csr -o name | head -n 1 | cut -d / -f 2)\"; true",
        "undecided",
    ),
    said(
        "m1",
        "kubectl label --overwrite node n1 disk=ssd",
        "LINE && kubectl get node n1 --show-labels && kubectl label node n1 disk-",
        "disk=ssd",
    ),
    said(
        "m1",
        "kubectl taint --overwrite node n1 dedicated=gpu:NoSchedule",
        "LINE && kubectl get node n1 -o jsonpath='{.spec.taints}' && \
         kubectl taint node n1 dedicated:NoSchedule-",
        "\"key\":\"dedicated\"",
    ),
    said(
        "m1",
        "kubectl apply",
        "kubectl create configmap lab --dry-run=client -o yaml | LINE -f - && \
         kubectl delete configmap lab",
        "configmap/lab created",
    ),
    said(
        "m1",
        "kubectl edit",
        "EDITOR=true LINE --namespace=kube-system configmap coredns",
        "no changes made",
    ),
    said(
        "m1",
        "kubectl logs",
        "LINE --namespace=kube-system deployment/coredns",
        "CoreDNS-",
    ),
    said(
        "m1",
        "kubectl config delete-cluster NAME",
        "cp $KUBECONFIG /run/lab.conf && export KUBECONFIG=/run/lab.conf && \
         kubectl config delete-cluster \"$(kubectl config get-clusters | tail -n 1)\" && \
         rm /run/lab.conf",
        "deleted cluster",
    ),
    said(
        "m1",
        "etcdctl endpoint health --cluster",
        "LINE",
        "is healthy",
    ),
    said(
        "m1",
        "etcdctl snapshot save",
        "LINE /run/lab.db && rm /run/lab.db",
        "napshot saved at /run/lab.db",
    ),
    // To the address that it has.
    said(
        "m1",
        "etcdctl member update ID --peer-urls=https://NEW:2380",
        "etcdctl member update \"$(etcdctl member list | grep ', m2,' | cut -d , -f 1)\" \
         --peer-urls=https://10.79.0.12:2380",
        "updated in cluster",
    ),
    said("m1", "api-lb status", "LINE", "m3"),
    said("m1", "vip-daemon explain", "LINE", "k8s-api"),
    said(
        "m1",
        "journalctl -u etcd -u kube-apiserver",
        JOURNAL,
        "etcd",
    ),
    said("m1", "journalctl -u etcd", JOURNAL, "etcd"),
    said(
        "m1",
        "journalctl -u kube-apiserver",
        JOURNAL,
        "kube-apiserver",
    ),
    said("n1", "journalctl -u flanneld", JOURNAL, "flanneld"),
    said("n1", "journalctl -u containerd", JOURNAL, "containerd"),
    said("n1", "journalctl -u kube-proxy", JOURNAL, "kube-proxy"),
    said("n1", "nft list ruleset", "LINE", "table "),
    // Beside what lies there.
    said(
        "m1",
        "mount -o remount,exec /var/lib",
        "unshare --mount sh -c 'mount -t tmpfs -o noexec lab /var/lib && \
         printf \"#!/bin/sh\\necho executed\\n\" >/var/lib/lab && chmod +x /var/lib/lab && \
         ! /var/lib/lab && LINE && /var/lib/lab'",
        "executed",
    ),
    said(
        "m3",
        "systemctl daemon-reload && systemctl restart kube-apiserver",
        "LINE && systemctl is-active kube-apiserver",
        "active",
    ),
    said(
        "m3",
        "systemctl disable --now kube-apiserver.service etcd.service",
        "LINE && systemctl is-enabled etcd.service; systemctl enable --now etcd.service kube-apiserver.service",
        "disabled",
    ),
    said(
        "m1",
        "kubectl describe node N",
        "kubectl describe node n1",
        "KubeletReady",
    ),
    said(
        "m1",
        "kubectl --server https://ADDRESS:PORT get --raw /readyz",
        "kubectl --server https://10.79.0.100:6443 get --raw /readyz",
        "ok",
    ),
    said("m1", "journalctl -u bootstrap-signer", JOURNAL, "Start"),
    said("n1", "journalctl -u kubelet", JOURNAL, "Start"),
    said("n1", "nft list tables", "LINE", "table "),
    said(
        "n1",
        "systemctl status kubelet",
        "LINE --no-pager",
        "active (running)",
    ),
    said(
        "n1",
        "systemctl status containerd",
        "LINE --no-pager",
        "active (running)",
    ),
    said(
        "n1",
        "systemctl restart kube-proxy flanneld",
        "LINE && systemctl is-active kube-proxy flanneld",
        "active",
    ),
    said(
        "n1",
        "systemctl disable --now kubelet",
        "LINE && systemctl is-active kubelet; systemctl enable --now kubelet && \
         systemctl is-active kubelet",
        "inactive",
    ),
    said(
        "m1",
        "kubectl delete node NAME",
        "printf 'apiVersion: v1\\nkind: Node\\nmetadata: {name: gone}\\n' | kubectl create -f - && \
         kubectl delete node gone",
        "node \"gone\" deleted",
    ),
];
