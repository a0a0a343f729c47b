//! What speaks against machines among each other: what does not come through, and addresses
//! that are somebody's.

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;

use super::what::{Closed, Taken, Unanswered, What};
use super::{Claim, Round, Sight};
use crate::flows::firewall::{Hole, shell};
use crate::flows::{Flow, Passage, Purpose, Reply, Saw, Way};
use crate::spec::{Balancer, Cluster, Host};

/// The hardware addresses of virtual routers (RFC 9568 section 7.3).
const VIRTUAL: [&str; 2] = ["00:00:5e:00:01:", "00:00:5e:00:02:"];

pub(super) fn between(
    cluster: &Cluster,
    host: &Host,
    sight: &Sight,
    round: &Round,
) -> Vec<What> {
    let mut found: Vec<_> = shut(cluster, host, round)
        .into_iter()
        .map(|(closed, _)| What::Closed(closed))
        .collect();
    if let Balancer::Own(router) = &cluster.balancer {
        let addresses = router.addresses.iter().map(ipnet::IpNet::addr);
        let here = addresses.filter(|address| {
            let nobodys = !sight.machine.system.ours || round.fresh.contains(address);
            nobodys && sight.machine.interface(*address).is_some()
        });
        found.extend(here.map(What::AddressHere));
        let claims = round.claims.iter().filter(|one| one.asked == host.name);
        found.extend(claims.flat_map(|claim| strangers(cluster, claim, round)));
    }
    let calls = round.calls.iter().filter(|call| call.host == host.name);
    found.extend(calls.filter_map(|call| {
        let failed = call.replies.iter().filter(|reply| unanswered(round, reply));
        let failed = failed.count();
        (failed > 0).then_some(What::Endpoint(Unanswered {
            address: call.address,
            port: cluster.endpoint.port,
            failed,
            tries: call.replies.len(),
        }))
    }));
    found
}

/// Before there is an API server, a balancer may refuse; it may not keep silent.
fn unanswered(round: &Round, reply: &Reply) -> bool {
    let mut sights = round.sights.values();
    match reply {
        Reply::Heard => false,
        Reply::Refused => sights.any(|sight| sight.machine.system.ours),
        Reply::Unreachable | Reply::Silence | Reply::Forbidden | Reply::NotSent(_) => {
            true
        }
    }
}

/// What does not come through to a host, one for each way, with the holes that let it in.
pub(super) fn shut(
    cluster: &Cluster,
    host: &Host,
    round: &Round,
) -> Vec<(Closed, Vec<Hole>)> {
    let mut ways: BTreeMap<(Way, Purpose), Vec<(&Flow, Saw)>> = BTreeMap::new();
    for (flow, passage) in &round.flows {
        if let (Passage::Closed { saw }, true) = (passage, flow.to == host.name) {
            let way = ways.entry((flow.way, flow.purpose)).or_default();
            way.push((flow, *saw));
        }
    }
    let Some(sight) = round.sights.get(&host.name) else {
        return Vec::new();
    };
    let shut = ways.into_iter().map(|((way, purpose), flows)| {
        let (out, come): (Vec<_>, Vec<_>) =
            flows.iter().partition(|(_, saw)| *saw == Saw::Forbidden);
        let holes = holes(cluster, way, sight, &come);
        let commands = holes.iter().flat_map(|hole| sight.firewall.open(hole));
        let hosts = |flows: &[&(&Flow, Saw)]| -> Vec<String> {
            let names = flows.iter().map(|(flow, _)| flow.from.clone());
            names.collect::<BTreeSet<_>>().into_iter().collect()
        };
        let saw: BTreeSet<_> = flows.iter().map(|(_, saw)| *saw).collect();
        let saw: Vec<_> = saw.iter().map(Saw::to_string).collect();
        let closed = Closed {
            way,
            purpose,
            from: hosts(&flows.iter().collect::<Vec<_>>()),
            held_back: hosts(&out),
            saw: saw.join("; "),
            firewall: sight.firewall.name(),
            open: commands.map(|words| shell(&words)).collect(),
            keeping: sight.firewall.keeping(),
        };
        (closed, holes)
    });
    shut.collect()
}

/// One for each address of the host that is dialled in vain.
fn holes(
    cluster: &Cluster,
    way: Way,
    sight: &Sight,
    flows: &[&(&Flow, Saw)],
) -> Vec<Hole> {
    let mut dialled: BTreeMap<IpAddr, BTreeSet<IpAddr>> = BTreeMap::new();
    for (flow, _) in flows {
        let v4 = flow.address.is_ipv4();
        let mut hosts = cluster.hosts.iter();
        let from = hosts.find(|host| host.name == flow.from);
        let addresses = from.into_iter().flat_map(|host| &host.addresses);
        let fits = addresses.filter(|address| address.is_ipv4() == v4);
        dialled.entry(flow.address).or_default().extend(fits);
    }
    let holes = dialled.into_iter().map(|(address, from)| Hole {
        way,
        interface: sight.machine.interface(address).map(str::to_owned),
        from,
    });
    holes.filter(|hole| !hole.from.is_empty()).collect()
}

/// Who answers for a virtual address, and is none of ours.
fn strangers(cluster: &Cluster, claim: &Claim, round: &Round) -> Vec<What> {
    let ours = |sight: &&Sight| sight.machine.system.ours;
    let a_cluster = round.sights.values().any(|sight| ours(&sight));
    let is_ours = a_cluster && !round.fresh.contains(&claim.address);
    // A master that does not answer us may hold it, and rightly so.
    let all_seen = round.sights.len() == cluster.hosts.len();
    let strange = claim.by.iter().filter(|hardware| {
        let virtually = VIRTUAL.iter().any(|start| hardware.starts_with(start));
        let known = |sight: &Sight| {
            let mut interfaces = sight.machine.interfaces.iter();
            interfaces.any(|one| one.hardware.as_deref() == Some(hardware.as_str()))
        };
        let by_a_host = round.sights.values().any(known);
        // That a host has it without vip-daemon is said of that host.
        !(by_a_host || (is_ours && (virtually || !all_seen)))
    });
    strange
        .map(|hardware| {
            What::AddressTaken(Taken {
                address: claim.address,
                by: hardware.clone(),
            })
        })
        .collect()
}
