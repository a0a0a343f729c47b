//! Networks of hosts in etcd: what is said of what each node holds then.

use sternpost::spec;

#[test]
fn nodes_that_hold_a_certificate_for_all_of_etcd_are_warned_of() {
    let text = include_str!("leases.yaml");
    let warned = |text: &str| {
        let warnings = spec::parse("cluster.yaml", text).unwrap().warnings;
        let mut all = warnings.into_iter();
        all.find(|one| one.contains("networks.flannel.store"))
    };
    let said = warned(text).unwrap();
    let wanted =
        "gives every node a certificate for all of etcd, Secrets too: root on n1 is root";
    assert!(said.contains(wanted), "{said}");
    let kubernetes =
        text.replace("store: etcd, prefix: /lab/network", "store: kubernetes");
    assert_ne!(kubernetes, text);
    assert_eq!(warned(&kubernetes), None);
    // Members and masters have it anyway.
    let alone = text.replace("roles: [node]", "roles: [controlPlane, node]");
    assert_ne!(alone, text);
    assert_eq!(warned(&alone), None);
}
