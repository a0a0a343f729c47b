//! Every trap that a description can show.

/// What replaces what, and what the first error says after the file's name.
pub(crate) const TRAPS: &[(&str, &str, &str)] = &[
    (
        "192.168.220.224/24",
        "192.168.200.224/24",
        "6: endpoint.addresses[0]: \"192.168.200.224/24\" is outside the subnet of m1 (192.168.220.100)",
    ),
    (
        "192.168.220.224/24",
        "192.168.220.224",
        "6: endpoint.addresses[0]: \"192.168.220.224\" has no prefix length",
    ),
    (
        "192.168.220.224/24",
        "192.168.220.100/24",
        "6: endpoint.addresses[0]: \"192.168.220.100/24\" is the address of the host m1",
    ),
    (
        "  name: k8s-api.example.org\n",
        "  port: 6443\nbalancer: {port: 9443}\n",
        "7: endpoint.port: \"6443\" bypasses the balancer, which listens on 9443",
    ),
    (
        "endpoint:\n  addresses: [\"192.168.220.224/24\"]",
        "balancer: {mode: external}\nendpoint:\n  addresses: [\"192.168.220.101\"]",
        "7: endpoint.addresses[0]: \"192.168.220.101\" is the API server of m2 itself",
    ),
    (
        "172.30.0.0/16",
        "10.254.0.0/17",
        "10: networks.pods[0]: \"10.254.0.0/17\" overlaps networks.services (10.254.0.0/16)",
    ),
    (
        "172.30.0.0/16",
        "172.18.0.1/16",
        "10: networks.pods[0]: \"172.18.0.1/16\" has bits of a host below its prefix; write \"172.18.0.0/16\"",
    ),
    (
        "172.30.0.0/16",
        "196.16.0.0/16",
        "10: networks.pods[0]: \"196.16.0.0/16\" is public",
    ),
    (
        "172.30.0.0/16\"]",
        "172.30.0.0/16\"]\n  flannel: {prefix: /a}",
        "11: networks.flannel.prefix: \"/a\" is a key of etcd, which nothing is kept in",
    ),
    (
        "172.30.0.0/16\"]",
        "172.30.0.0/16\"]\n  flannel: {store: etcd, prefix: /registry/pods}",
        "11: networks.flannel.prefix: \"/registry/pods\" is where API servers keep",
    ),
    (
        "172.30.0.0/16\"]",
        "172.30.0.0/16\"]\n  flannel: {store: etcd, prefix: \"/a b\"}",
        "11: networks.flannel.prefix: \"/a b\" is no path of letters",
    ),
    (
        "172.30.0.0/16\"]",
        "172.30.0.0/16\"]\n  betweenPods: none\n  flannel: {store: etcd}",
        "12: networks.flannel.store: \"etcd\" is flannel's, and networks.betweenPods is none",
    ),
    (
        "172.30.0.0/16\"]",
        "172.30.0.0/23\"]\n  flannel: {store: etcd}",
        "10: networks.pods[0]: \"172.30.0.0/23\" has too little room for flannel's networks in etcd; /22",
    ),
    (
        "172.30.0.0/16\"]",
        "172.30.0.0/16\"]\n  dns: [\"10.253.0.10\"]",
        "11: networks.dns[0]: \"10.253.0.10\" lies outside networks.services (10.254.0.0/16)",
    ),
    (
        "172.30.0.0/16\"]",
        "172.30.0.0/16\"]\n  dns: [\"10.254.0.0\"]",
        "11: networks.dns[0]: \"10.254.0.0\" is the network's own address",
    ),
    (
        "172.30.0.0/16\"]",
        "172.30.0.0/16\"]\n  dns: [\"10.254.0.1\"]",
        "11: networks.dns[0]: \"10.254.0.1\" is the first address, which the Service",
    ),
    (
        "172.30.0.0/16\"]",
        "172.30.0.0/16\"]\n  dns: [\"10.254.0.10\", \"10.254.0.11\"]",
        "11: networks.dns: holds two addresses of one family, and a Service has one of each",
    ),
    (
        "services: [\"10.254.0.0/16\"]\n  pods: [\"172.30.0.0/16\"]",
        "services: [\"10.254.0.0/16\", \"fd00:96::/112\"]\n  pods: [\"172.30.0.0/16\", \"fd00:3000::/40\"]",
        "10: networks.pods[1]: \"fd00:3000::/40\" is larger than kube-controller-manager takes, which gives each node a /64; the prefix is at least /48",
    ),
    (
        "name: n1",
        "name: n1234567890123456789012345678901234567890.n12345678901234567890123",
        "15: hosts[3].name: \"n1234567890123456789012345678901234567890.n12345678901234567890123\" is longer than 63 signs",
    ),
    (
        "hosts:\n",
        "etcd: {external: {endpoints: [\"https://10.0.0.1:2379\", \"https://10.0.0.1:2379\"], caFile: a, certFile: b, keyFile: c}}\nhosts:\n",
        "11: etcd.external.endpoints[1]: \"https://10.0.0.1:2379\" is there twice",
    ),
    (
        "172.30.0.0/16\"]",
        "172.30.0.0/16\"]\n  dns: [\"172.30.0.10\"]",
        "11: networks.dns[0]: \"172.30.0.10\" lies in networks.pods, not in networks.services (10.254.0.0/16); are the two swapped?",
    ),
    (
        "172.30.0.0/16\"]",
        "172.30.0.0/25\"]",
        "10: networks.pods[0]: \"172.30.0.0/25\" has no room for one node, which takes a /24; are services and pods swapped?",
    ),
    (
        "172.30.0.0/16\"]",
        "172.30.0.0/16\"]\n  domain: cluster.local.",
        "11: networks.domain: \"cluster.local.\" ends with a dot",
    ),
    (
        "172.30.0.0/16\"]",
        "172.30.0.0/16\", \"fd00:10::/48\"]",
        "10: networks.pods: has other families than networks.services",
    ),
    (
        "10.254.0.0/16",
        "10.0.0.0/8",
        "9: networks.services: is larger than kube-apiserver allows; the prefix is at least /12",
    ),
    (
        "172.30.0.0/16\"]",
        "172.30.0.0/16\"]\n  nodePorts: \"32766\"",
        "11: networks.nodePorts: \"32766\" is not a range of ports",
    ),
    (
        "roles: [etcd, controlPlane]}\n- {name: n1",
        "roles: [controlPlane]}\n- {name: n1",
        "11: hosts: holds 2 members of etcd: an even number survives no more failures than 1",
    ),
    (
        "name: m2",
        "name: m1",
        "13: hosts[1].name: \"m1\" is the name of hosts[0] too",
    ),
    (
        "name: m2",
        "name: Master2",
        "13: hosts[1].name: \"Master2\" has upper-case letters, which node names cannot have; write \"master2\"",
    ),
    (
        "192.168.220.101",
        "192.168.220.100",
        "13: hosts[1].addresses[0]: \"192.168.220.100\" is an address of hosts[0] too",
    ),
    (
        "\"192.168.220.200\"",
        "\"192.168.220.200\", \"fe80::1\"",
        "15: hosts[3].addresses[1]: \"fe80::1\" is of one link alone, and says not of which; write a global address",
    ),
    (
        "192.168.220.200",
        "::ffff:192.168.220.200",
        "15: hosts[3].addresses[0]: \"::ffff:192.168.220.200\" is an IPv4 address in clothes of IPv6; write \"192.168.220.200\"",
    ),
    (
        "192.168.220.200",
        "172.30.1.1",
        "15: hosts[3].addresses[0]: \"172.30.1.1\" lies in networks.pods (172.30.0.0/16)",
    ),
    (
        "1.36.3",
        "1.8.2",
        "4: kubernetes.version: \"1.8.2\" is not laid down by this version; allowed: 1.29 to 1.36",
    ),
    ("1.36.3}", "1.30.1}\nflags: {}", ""),
    (
        "hosts:\n",
        "flags: {kube-apiserver: {insecure-port: \"8080\"}}\nhosts:\n",
        "11: flags.kube-apiserver.insecure-port: \"8080\" as a flag of kube-apiserver is gone",
    ),
    (
        "hosts:\n",
        "flags: {kube-apiserver: {bind-address: 0.0.0.0}}\nhosts:\n",
        "11: flags.kube-apiserver.bind-address: \"0.0.0.0\" as a flag of kube-apiserver is ours to set",
    ),
    (
        "hosts:\n",
        "flags: {kube-scheduler: {leader-election: \"true\"}}\nhosts:\n",
        "11: flags.kube-scheduler.leader-election: \"true\" as a flag of kube-scheduler does not exist",
    ),
    (
        "hosts:\n",
        "flags: {etcd: {data-dir: /data/etcd}}\nhosts:\n",
        "11: flags.etcd.data-dir: \"/data/etcd\" as a flag of etcd is ours to set",
    ),
    (
        "hosts:\n",
        "flags: {kube-apiserver: {audit-log-path: /srv/audit.log}}\nhosts:\n",
        "11: flags.kube-apiserver.audit-log-path: \"/srv/audit.log\" as a flag of kube-apiserver may be written to below",
    ),
    (
        "hosts:\n",
        "flags: {kube-controller-manager: {controllers: \"*\"}}\nhosts:\n",
        "11: flags.kube-controller-manager.controllers: \"*\" as a flag of kube-controller-manager would approve certificates beside",
    ),
    (
        "hosts:\n",
        "flags: {kube-apiserver: {cloud-provider: aws}}\nhosts:\n",
        "11: flags.kube-apiserver.cloud-provider: \"aws\" as a flag of kube-apiserver is gone",
    ),
    (
        "hosts:\n",
        "flags: {kube-apisrver: {v: \"4\"}}\nhosts:\n",
        "11: flags.kube-apisrver: is no component",
    ),
    (
        "hosts:\n",
        "flags: {kubelet: {--max-pods: \"50\"}}\nhosts:\n",
        "11: flags.kubelet.--max-pods: \"50\" is written with its dashes; write \"max-pods\"",
    ),
    (
        "hosts:\n",
        "flags: {kubelet: {node-labels: \"t=f3be89d17cf7d80847f3bc8b8ea58250\"}}\nhosts:\n",
        "11: flags.kubelet.node-labels: \"t=f3be89d17cf7d80847f3bc8b8ea58250\" is printed in a well-known document",
    ),
    (
        "10.254.0.0/16",
        "192.168.220.240/28",
        "9: networks.services[0]: \"192.168.220.240/28\" overlaps 192.168.220.0/24, the hosts' own network",
    ),
    (
        "  name: k8s-api.example.org\n",
        "  port: 10250\n",
        "7: endpoint.port: \"10250\" is 10250, which a component of these hosts listens on",
    ),
    (
        "  name: k8s-api.example.org\n",
        "  port: 30443\n",
        "7: endpoint.port: \"30443\" is 30443, which lies in networks.nodePorts (30000-32767)",
    ),
    (
        "\"192.168.220.224/24\"]",
        "\"192.168.220.224/24\", \"2001:db8::9/64\"]",
        "6: endpoint.addresses[1]: \"2001:db8::9/64\" is an IPv6 address, and m1 has none",
    ),
    (
        "services: [\"10.254.0.0/16\"]\n  pods: [\"172.30.0.0/16\"]",
        "services: [\"10.254.0.0/16\", \"fd00:96::/112\"]\n  pods: [\"172.30.0.0/16\", \"fd00:30::/48\"]",
        "15: hosts[3].addresses: holds no IPv6 address, and networks.pods has fd00:30::/48",
    ),
    (
        "services: [\"10.254.0.0/16\"]\n  pods: [\"172.30.0.0/16\"]",
        "services: [\"fd00:96::/112\", \"10.254.0.0/16\"]\n  pods: [\"172.30.0.0/16\", \"fd00:30::/48\"]",
        "9: networks.services[0]: \"fd00:96::/112\" is not of the family of m1 (192.168.220.100)",
    ),
    (
        "192.168.220.200\"], roles: [node]}",
        "192.168.220.200\"], roles: [node], labels: {node-role.kubernetes.io/worker: \"yes\"}}",
        "15: hosts[3].labels.node-role.kubernetes.io/worker: \"yes\" is in a domain of Kubernetes",
    ),
    (
        "192.168.220.200\"], roles: [node]}",
        "192.168.220.200\"], roles: [node], labels: {disk: two words}}",
        "15: hosts[3].labels.disk: \"two words\" is not a label",
    ),
    (
        "192.168.220.200\"], roles: [node]}",
        "192.168.220.200\"], roles: [node], taints: [\"a b=:NoSchedule\"]}",
        "15: hosts[3].taints[0]: \"a b=:NoSchedule\" is not a taint",
    ),
    (
        "hosts:\n",
        "balancer: {vrid: 256}\nhosts:\n",
        "11: balancer.vrid: \"256\" is out of range; allowed: 1 to 255",
    ),
    (
        "endpoint:\n  addresses: [\"192.168.220.224/24\"]\n",
        "balancer: {mode: none}\nendpoint:\n  port: 8443\n",
        "7: endpoint.port: \"8443\" is nobody's: in balancer.mode: none the API server itself is dialled",
    ),
    (
        "endpoint:\n  addresses: [\"192.168.220.224/24\"]",
        "balancer: {mode: external, port: 9443}\nendpoint:\n  addresses: [\"192.168.220.9\"]",
        "5: balancer.port: \"9443\" is where a balancer of ours listens",
    ),
    (
        "hosts:\n",
        "balancer: {mode: none}\nhosts:\n",
        "6: endpoint.addresses: has no use in this balancer.mode",
    ),
    (
        "hosts:\n",
        "etcd: {external: {endpoints: [\"http://10.0.0.1:2379\"], caFile: a, certFile: b, keyFile: c}}\nhosts:\n",
        "11: etcd.external.endpoints[0]: \"http://10.0.0.1:2379\" is without TLS",
    ),
    (
        "192.168.220.200\"], roles: [node]}",
        "192.168.220.200\"], roles: [node], ssh: {host: -oProxyCommand=x}}",
        "15: hosts[3].ssh.host: \"-oProxyCommand=x\" is not a name that ssh can be given",
    ),
    (
        "192.168.220.200\"], roles: [node]}",
        "192.168.220.200\"], roles: [node], taints: [\"a=b\"]}",
        "15: hosts[3].taints[0]: \"a=b\" is not a taint",
    ),
    (
        "hosts:\n",
        "binaries: {images: [../coredns.tar]}\nhosts:\n",
        "11: binaries.images[0]: \"../coredns.tar\" is no image's file; write the name of a .tar",
    ),
    (
        "hosts:\n",
        "binaries: {sources: [{from: a, sha256: {amd64: aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa}}]}\nhosts:\n",
        "11: binaries.sources[0]: says of no program; write program, or members",
    ),
    (
        "hosts:\n",
        "binaries: {sources: [{from: a, sha256: {amd64: abc}, program: etcd}]}\nhosts:\n",
        "11: binaries.sources[0].sha256.amd64: \"abc\" is no SHA-256",
    ),
    (
        "hosts:\n",
        "binaries: {sources: [{from: a, sha256: {}, program: etcd}]}\nhosts:\n",
        "11: binaries.sources[0].sha256: is empty; write the checksum",
    ),
    (
        "hosts:\n",
        "binaries: {sources: [{from: a, sha256: {amd64: aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa, arm64: bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb}, program: etcd}]}\nhosts:\n",
        "11: binaries.sources[0].from: \"a\" is one file with two checksums; write {arch}",
    ),
    (
        "hosts:\n",
        "binaries: {sources: [{from: a.zip, sha256: {amd64: aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa}, members: {etcd: bin/etcd}}]}\nhosts:\n",
        "11: binaries.sources[0].from: \"a.zip\" is no archive that members are taken from",
    ),
    (
        "hosts:\n",
        "binaries: {sources: [{from: a.tar, sha256: {amd64: aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa}, members: {etcd: ../etcd}}]}\nhosts:\n",
        "11: binaries.sources[0].members.etcd: \"../etcd\" is no path in an archive",
    ),
    (
        "hosts:\n",
        "binaries: {sources: [{from: a, sha256: {amd64: aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa}, program: ../etcd}]}\nhosts:\n",
        "11: binaries.sources[0]: names \"../etcd\"; a program's name is of letters",
    ),
    (
        "hosts:\n",
        "binaries: {sources: [{from: a.tar, sha256: {amd64: aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa}, program: etcd, members: {etcd: etcd}}]}\nhosts:\n",
        "11: binaries.sources[0]: has program and members",
    ),
    (
        "hosts:\n",
        "binaries: {sources: [{from: \"ftp://example.org/a\", sha256: {amd64: aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa}, program: etcd}]}\nhosts:\n",
        "11: binaries.sources[0].from: \"ftp://example.org/a\" is no place that is fetched from",
    ),
    (
        "hosts:\n",
        "binaries: {sources: [{from: \"https://me:secret@example.org/a\", sha256: {amd64: aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa}, program: etcd}]}\nhosts:\n",
        "11: binaries.sources[0]: holds a user or a password in an address",
    ),
    (
        "hosts:\n",
        "binaries: {mirror: \"gopher://example.org\", sources: [{from: a, sha256: {amd64: aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa}, program: etcd}]}\nhosts:\n",
        "11: binaries.mirror: \"gopher://example.org\" is no place that is fetched from",
    ),
    (
        "hosts:\n",
        "binaries: {sources: [{from: a, sha256: {amd64: aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa}, program: etcd}, {from: b, sha256: {amd64: aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa}, program: etcd}]}\nhosts:\n",
        "11: binaries.sources: has two sources of etcd for amd64; keep one",
    ),
    (
        "hosts:\n",
        "binaries: {sources: [{from: a, sha256: {x86: aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa}, program: etcd}]}\nhosts:\n",
        "11: binaries.sources[0].sha256.x86: is not a key here",
    ),
    (
        "hosts:\n",
        "pki: {extraNames: [\"*.k8s.example.org\"]}\nhosts:\n",
        "",
    ),
    (
        "hosts:\n",
        "pki: {extraNames: [\"a.*.example.org\"]}\nhosts:\n",
        "11: pki.extraNames[0]: \"a.*.example.org\" is not a DNS name",
    ),
    (
        "hosts:\n",
        "pki: {keyType: rsa}\nhosts:\n",
        "11: pki.keyType: \"rsa\" is no kind of keys that are made here; allowed: ECDSA-P256, RSA-2048",
    ),
    (
        "kubernetes:",
        "kuberntes:",
        "4: kuberntes: is not a key here; did you mean \"kubernetes\"?",
    ),
];
