//! The traps of keepalived's files that a person should look at before moving over.

use super::draft::{Draft, Router};
use super::report::Report;
use crate::config::Address;

/// Looks at every router, and at those of the same group in the peers' files.
pub(super) fn lint(draft: &Draft, peers: &[Draft], report: &mut Report) {
    for router in &draft.routers {
        alone(router, report);
        let others = peers.iter().flat_map(|peer| &peer.routers);
        for other in others.filter(|other| other.vrid == router.vrid) {
            together(router, other, report);
        }
    }
}

fn alone(router: &Router, report: &mut Report) {
    let line = router.line;
    if !(1..=255).contains(&router.vrid) {
        let sentence = format!("virtual_router_id {} is not 1 to 255", router.vrid);
        report.trap(line, sentence);
    }
    for track in &router.tracks {
        if !router.preempts && track.weight != 0 {
            report.trap(
                track.line,
                format!(
                    "a weight ({}) moves nothing where the others have nopreempt: the \
                     address stays on the node that fails; write weight: 0",
                    track.weight
                ),
            );
        }
    }
    let Some(source) = router.source.as_ref().and_then(|text| text.parse().ok()) else {
        return;
    };
    let here = router.addresses.iter().filter(|it| it.device.is_none());
    let addresses = here.filter_map(|it| it.address.parse().ok());
    for address in addresses {
        let address: Address = address;
        let longest = if address.ip.is_ipv4() { 32 } else { 128 };
        if address.prefix < longest && !address.covers(source) {
            report.trap(
                line,
                format!(
                    "{address} lies outside the network of {source}: neighbours reach it \
                     only where a route leads there"
                ),
            );
        }
    }
}

/// What two nodes of a group must and should have.
fn together(router: &Router, other: &Router, report: &mut Report) {
    let line = router.line;
    if router.priority == other.priority {
        let priority = router.priority;
        report.trap(
            line,
            format!(
                "another node has the same priority ({priority}): both time out together; \
                 spread them (200, 150, 100)"
            ),
        );
    }
    let gap = router.priority - other.priority;
    for track in &router.tracks {
        if gap > 0 && track.weight != 0 && track.weight.abs() <= gap {
            report.trap(
                track.line,
                format!(
                    "weight {} is not larger than the gap to another node's priority \
                     ({gap}): it moves nothing",
                    track.weight
                ),
            );
        }
    }
    if router.version != other.version {
        let sentence = "another node speaks another version: both become MASTER";
        report.trap(line, sentence);
    }
    if router.version == 2 && router.interval != other.interval {
        let sentence = "another node has another advert_int: both become MASTER";
        report.trap(line, sentence);
    }
    if router.peers.is_empty() != other.peers.is_empty() {
        let sentence = "one node sends unicast, another multicast: both become MASTER";
        report.trap(line, sentence);
    }
}
