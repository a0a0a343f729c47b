//! A cluster's description: what is good, and each trap with its line and the way out.

#![expect(clippy::panic, reason = "tests")]

use sternpost::spec::{self, Balancer, Role};
use sternpost::versions::{NEWEST, OLDEST, Version};

const WHOLE: &str = include_str!("spec/whole.yaml");

/// The whole file with one piece replaced; the piece must be there.
fn with(piece: &str, instead: &str) -> String {
    assert!(WHOLE.contains(piece), "{piece} is not in the file");
    WHOLE.replacen(piece, instead, 1)
}

fn refused(text: &str) -> String {
    match spec::parse("cluster.yaml", text) {
        Ok(_) => panic!("good:\n{text}"),
        Err(errors) => errors.to_string(),
    }
}

#[test]
fn a_whole_file_is_good_and_its_defaults_are_filled_in() {
    let spec = spec::parse("cluster.yaml", WHOLE).unwrap();
    assert_eq!(spec.warnings, Vec::<String>::new());
    let cluster = spec.cluster;
    assert_eq!(cluster.server(), "https://k8s-api.example.org:6443");
    assert_eq!(cluster.with(Role::Etcd).count(), 3);
    assert_eq!(
        cluster.networks.dns,
        ["10.254.0.10".parse::<std::net::IpAddr>().unwrap()]
    );
    assert_eq!(cluster.networks.domain, "cluster.local");
    let Balancer::Own(router) = &cluster.balancer else {
        panic!("{:?}", cluster.balancer)
    };
    assert_eq!(router.vrid, 51);
    assert_eq!(router.advert_interval.as_millis(), 100);
}

/// What replaces what, and what the first error says after the file's name.
const TRAPS: &[(&str, &str, &str)] = &[
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
        "pki: {keyType: rsa}\nhosts:\n",
        "11: pki.keyType: \"rsa\" is no kind of keys that are made here; allowed: ECDSA-P256, RSA-2048",
    ),
    (
        "kubernetes:",
        "kuberntes:",
        "4: kuberntes: is not a key here; did you mean \"kubernetes\"?",
    ),
];

#[test]
fn each_trap_is_named_with_its_line_and_the_way_out() {
    for (piece, instead, wanted) in TRAPS {
        if wanted.is_empty() {
            spec::parse("cluster.yaml", &with(piece, instead)).unwrap();
            continue;
        }
        let errors = refused(&with(piece, instead));
        let wanted = format!("cluster.yaml:{wanted}");
        assert!(
            errors.lines().any(|line| line.starts_with(&wanted)),
            "wanted: {wanted}\ngot:    {errors}"
        );
    }
}

/// Where a source is: below the mirror, the description's folder, or as it is written; for each
/// architecture that has a checksum.
#[test]
fn sources_lie_below_the_mirror_or_the_folder() {
    let sums = format!("{{amd64: {}, arm64: {}}}", "a".repeat(64), "B".repeat(64));
    let places = |mirror: &str, from: &str| {
        let text = format!(
            "binaries: {{{mirror}sources: [{{from: \"{from}\", sha256: {sums}, program: etcd}}]}}\nhosts:\n"
        );
        let binaries = spec::parse("cluster.yaml", &with("hosts:\n", &text)).unwrap();
        let binaries = binaries.cluster.binaries;
        assert_eq!(binaries.folder, None);
        let sources = binaries.sources.iter();
        let places: Vec<_> = sources
            .map(|one| format!("{} {}", one.architecture, one.place))
            .collect();
        places.join(", ")
    };
    let mirror = "mirror: \"https://mirror.example.org/k8s/\", ";
    for (mirror, from, wanted) in [
        (
            mirror,
            "{version}/{arch}/etcd",
            "amd64 https://mirror.example.org/k8s/1.36.3/amd64/etcd, arm64 https://mirror.example.org/k8s/1.36.3/arm64/etcd",
        ),
        (
            mirror,
            "http://other.example.org/{arch}",
            "amd64 http://other.example.org/amd64, arm64 http://other.example.org/arm64",
        ),
        (
            mirror,
            "file:///srv/{arch}",
            "amd64 /srv/amd64, arm64 /srv/arm64",
        ),
        ("", "{arch}/etcd", "amd64 ./amd64/etcd, arm64 ./arm64/etcd"),
        (
            "mirror: media, ",
            "{arch}",
            "amd64 ./media/amd64, arm64 ./media/arm64",
        ),
    ] {
        assert_eq!(places(mirror, from), wanted);
    }
}

#[test]
fn nftables_waits_for_its_version_and_ipvs_is_warned_of() {
    let proxy = |version: &str, mode: &str| {
        with("1.36.3", version)
            .replace("networks:\n", &format!("networks:\n  proxy: {mode}\n"))
    };
    assert!(refused(&proxy("1.30.2", "nftables")).contains("needs Kubernetes 1.31"));
    spec::parse("cluster.yaml", &proxy("1.31.0", "nftables")).unwrap();
    let spec = spec::parse("cluster.yaml", &proxy("1.36.3", "ipvs")).unwrap();
    assert!(
        spec.warnings.iter().any(|warning| warning
            .contains("cluster.yaml:9: networks.proxy: \"ipvs\" is deprecated")),
        "{:?}",
        spec.warnings
    );
}

/// What the manual says of the versions is what is done.
#[test]
fn the_manuals_table_of_versions_is_true() {
    const MANUAL: &str = include_str!("../../docs/config/cluster.md");
    let rows = MANUAL.lines().filter(|line| line.starts_with("| 1."));
    let mut versions = Vec::new();
    for row in rows {
        let cells: Vec<_> = row.split('|').map(str::trim).collect();
        let version: Version = format!("{}.0", cells[1]).parse().unwrap();
        let features = version.features();
        let yes = |is: bool| if is { "yes" } else { "no" };
        assert_eq!(cells[2], yes(features.nftables), "{row}");
        assert_eq!(cells[3], yes(features.ipvs_deprecated), "{row}");
        assert_eq!(cells[4], yes(features.refuses_cgroup_v1), "{row}");
        assert_eq!(cells[5], yes(features.needs_containerd_2), "{row}");
        assert!(features.pause.ends_with(cells[6]), "{row}");
        assert!(features.kubeadm_api.ends_with(cells[7]), "{row}");
        versions.push(version.minor);
    }
    assert_eq!(versions, (OLDEST..=NEWEST).collect::<Vec<_>>());
}

#[test]
fn an_old_containerd_is_warned_of_where_kubernetes_has_left_it() {
    let runtime = |version: &str, containerd: &str| {
        with("1.36.3", version).replace(
            "hosts:\n",
            &format!("runtime: {{containerd: {containerd}}}\nhosts:\n"),
        )
    };
    for (version, containerd, warned) in [
        ("1.35.4", "1", false),
        ("1.36.0", "1", true),
        ("1.36.0", "2", false),
    ] {
        let spec = spec::parse("cluster.yaml", &runtime(version, containerd)).unwrap();
        let wanted = "runtime.containerd: \"1\" is too old";
        let found = spec.warnings.iter().any(|warning| warning.contains(wanted));
        assert_eq!(found, warned, "{version} {containerd}: {:?}", spec.warnings);
    }
    assert!(refused(&runtime("1.36.3", "3")).contains("write 1 or 2"));
}

#[test]
fn every_wrong_key_is_named_in_one_go() {
    let text = with("1.36.3", "1.8").replace("192.168.220.101", "192.168.220");
    let errors = refused(&text);
    assert_eq!(errors.lines().count(), 2, "{errors}");
}

/// The examples of the manual: the first is the whole file above, the second says nothing
/// that is not the default anyway.
#[test]
fn the_examples_of_the_manual_are_good() {
    const MANUAL: &str = include_str!("../../docs/config/cluster.md");
    let fenced = MANUAL.split("```yaml\n").skip(1);
    let examples: Vec<_> = fenced.filter_map(|rest| rest.split("```").next()).collect();
    assert_eq!(examples[0], WHOLE);
    let shown = spec::parse("manual", examples[1]).unwrap().cluster;
    let short = "apiVersion: sternpost/v1\nkind: Cluster\nkubernetes: {version: 1.36.3}\n\
                 endpoint: {addresses: [\"192.168.220.224/24\"]}\nhosts:\n\
                 - {name: m1, addresses: [\"192.168.220.100\"], roles: [node, controlPlane, etcd]}\n";
    assert_eq!(shown, spec::parse("short", short).unwrap().cluster);
    let fetched = spec::parse("manual", examples[2]).unwrap().cluster;
    assert_eq!(fetched.binaries.sources.len(), 4);
}

/// The files that a description names are read with it, and each that cannot be is named with
/// its line.
#[test]
fn the_files_it_names_are_read() {
    let path = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/spec");
    let cluster = spec::read(&path.join("external.yaml")).unwrap().cluster;
    let names: Vec<_> = cluster
        .enclosed
        .manifests
        .iter()
        .map(|file| file.name.as_str())
        .collect();
    assert_eq!(names, ["10-shop.yaml", "20-settings.yaml"]);
    let key = &cluster.enclosed.etcd.as_ref().unwrap().key;
    assert!(key.text.contains("PRIVATE KEY"));
    assert!(!format!("{cluster:?}").contains("BEGIN"), "a key is shown");
    let text = std::fs::read_to_string(path.join("external.yaml")).unwrap();
    let folder = tempfile::tempdir().unwrap();
    std::fs::create_dir(folder.path().join("etcd")).unwrap();
    std::fs::create_dir(folder.path().join("addons")).unwrap();
    let put = |name: &str, text: &str| std::fs::write(folder.path().join(name), text);
    put("cluster.yaml", &text).unwrap();
    put("etcd/ca.crt", "nothing").unwrap();
    put("addons/notes.txt", "").unwrap();
    let errors = spec::read(&folder.path().join("cluster.yaml")).unwrap_err();
    let errors = errors.to_string();
    for wanted in [
        ":11: etcd.external.caFile: ",
        "which holds no CERTIFICATE in PEM form",
        ":12: etcd.external.certFile: ",
        "which cannot be read: No such file",
        ":13: etcd.external.keyFile: ",
        ":16: pki.trustedFiles[0]: ",
        ":7: manifests: ",
        "in which no file ends in .yaml",
    ] {
        assert!(errors.contains(wanted), "no {wanted} in\n{errors}");
    }
}
