//! The environment file of older instructions, taken over.

use sternpost::import::{Verdict, env_sh};
use sternpost::spec;

const ENV: &str = include_str!("import/env.sh");

#[test]
fn every_variable_has_a_verdict() {
    let imported = env_sh(ENV);
    let shown: Vec<_> = imported
        .findings
        .iter()
        .map(|one| format!("{}: {} {}", one.line, one.name, one.verdict))
        .collect();
    for name in [
        "SERVICE_CIDR honoured",
        "CLUSTER_CIDR honoured",
        "NODE_PORT_RANGE honoured",
        "ETCD_ENDPOINTS honoured",
        "ETCD_NODES honoured",
        "CLUSTER_DNS_SVC_IP honoured",
        "CLUSTER_DNS_DOMAIN honoured",
        "MASTER_URL honoured",
        "KUBE_APISERVER honoured",
        "FLANNEL_ETCD_PREFIX honoured",
        "CLUSTER_KUBERNETES_SVC_IP not needed because",
        "NODE_NAME not needed because",
        "BOOTSTRAP_TOKEN unsupported",
    ] {
        assert!(
            shown.iter().any(|line| line.ends_with(name)),
            "{name} in {shown:#?}"
        );
    }
    let why = |name: &str| {
        let found = imported.findings.iter().find(|one| one.name == name);
        found.unwrap().why.clone()
    };
    assert!(why("CLUSTER_DNS_DOMAIN").contains("without the dot"));
    assert!(why("NODE_IP").contains("set 2 times"));
    assert!(why("NODE_IP").contains("192.168.1.137 is no member's address"));
    let odd = env_sh("SOMETHING=1");
    assert!(
        odd.findings
            .iter()
            .all(|one| one.verdict == Verdict::Unsupported)
    );
}

/// With the questions answered the description is good, and says what the file said.
#[test]
fn the_description_is_good_once_the_questions_are_answered() {
    let imported = env_sh(ENV);
    assert_eq!(imported.questions.len(), 3);
    assert!(spec::parse("cluster.yaml", &imported.yaml).is_err());
    let answered = imported
        .yaml
        .replace("addresses: []", "addresses: [\"192.168.220.224/24\"]")
        .replace("version: \"\"", "version: 1.36.3");
    let cluster = spec::parse("cluster.yaml", &answered).unwrap().cluster;
    let names: Vec<_> = cluster
        .hosts
        .iter()
        .map(|host| host.name.as_str())
        .collect();
    assert_eq!(names, ["etcd01", "etcd02", "etcd03"]);
    assert_eq!(cluster.server(), "https://k8s-api.virtual.local:6443");
    assert_eq!(cluster.networks.node_ports, (30000, 32766));
    assert_eq!(cluster.networks.domain, "cluster.local");
    assert_eq!(cluster.networks.dns[0].to_string(), "10.254.0.2");
    assert_eq!(cluster.networks.pods[0].to_string(), "172.30.0.0/16");
    assert_eq!(
        cluster.networks.leases_in_etcd(),
        Some("/kubernetes/network")
    );
}
