//! Routes that routers tell of.

use super::{SPEC, round};
use crate::preflight::{Finding, Weight, What, preflight};
use crate::spec;

const SIX: &str = include_str!("../../../tests/spec/six.yaml");

/// What is found of it where each host has such a route over that interface.
fn found(text: &str) -> Vec<Finding> {
    let cluster = spec::parse("cluster.yaml", text).unwrap().cluster;
    let mut round = round(&cluster);
    for sight in round.sights.values_mut() {
        sight.machine.advertised = vec!["eth0.7".to_owned()];
    }
    let mut found = preflight(&cluster, &round);
    found.retain(|one| matches!(one.what, What::Advertised(_)));
    found
}

#[test]
fn a_node_that_will_forward_loses_the_route_that_a_router_tells_of() {
    let all = found(SIX);
    let hosts: Vec<_> = all.iter().map(|one| one.host.as_str()).collect();
    assert_eq!(hosts, ["n1"]);
    assert_eq!(all[0].what.weight(), Weight::Warns);
    assert!(all[0].what.to_string().contains("over eth0.7 comes by"));
    let way_out = all[0].what.way_out();
    let set = "printf '%s\\n' net/ipv6/conf/eth0.7/accept_ra=2 >/etc/sysctl.d/91-accept-ra.conf; \
               sysctl --load /etc/sysctl.d/91-accept-ra.conf";
    assert!(way_out.starts_with(set), "{way_out}");
    // Pods with IPv4 alone: nothing of IPv6 is forwarded.
    assert_eq!(found(SPEC), []);
}
