//! What the kernel could not resolve while there was no link, forgotten when the link is
//! back.
//!
//! An entry for which something waited meanwhile (a connection that retransmits, a check)
//! is asked for again once a second only, whoever else wants it. An address that comes
//! back to this host before that would be one that answers nobody for up to a second.

use netlink_packet_core::{NLM_F_ACK, NLM_F_DUMP};
use netlink_packet_route::neighbour::{
    NeighbourAttribute, NeighbourMessage, NeighbourState,
};
use netlink_packet_route::{AddressFamily, RouteNetlinkMessage};
use vrrp::Family;

use super::netlink::{Netlink, RequestError};

impl Netlink {
    /// Removes the neighbours of an interface that never answered; the next packet to one
    /// of them asks at once.
    ///
    /// # Errors
    /// When the kernel refuses.
    pub fn forget_silent(
        &mut self,
        family: Family,
        interface: u32,
    ) -> Result<(), RequestError> {
        let mut all = NeighbourMessage::default();
        all.header.family = match family {
            Family::V4 => AddressFamily::Inet,
            Family::V6 => AddressFamily::Inet6,
        };
        let request = RouteNetlinkMessage::GetNeighbour(all);
        let answers = self.exchange(request, NLM_F_DUMP, "list the neighbours")?;
        for entry in answers
            .iter()
            .filter_map(|answer| silent(answer, interface))
        {
            let request = RouteNetlinkMessage::DelNeighbour(entry);
            match self.exchange(request, NLM_F_ACK, "forget a neighbour") {
                // It answered, or the kernel forgot it by itself.
                Err(error) if error.is_about_nothing() => {}
                outcome => drop(outcome?),
            }
        }
        Ok(())
    }
}

/// What names the entry to the kernel, if it is one that never answered.
fn silent(answer: &RouteNetlinkMessage, interface: u32) -> Option<NeighbourMessage> {
    let RouteNetlinkMessage::NewNeighbour(entry) = answer else {
        return None;
    };
    let unresolved = [NeighbourState::Incomplete, NeighbourState::Failed]
        .contains(&entry.header.state);
    if entry.header.ifindex != interface || !unresolved {
        return None;
    }
    let mut name = NeighbourMessage::default();
    name.header.family = entry.header.family;
    name.header.ifindex = interface;
    let is_address =
        |a: &&NeighbourAttribute| matches!(a, NeighbourAttribute::Destination(_));
    name.attributes
        .push(entry.attributes.iter().find(is_address)?.clone());
    Some(name)
}

#[cfg(test)]
mod tests {
    use super::*;
    use netlink_packet_route::neighbour::NeighbourAddress;

    fn entry(interface: u32, state: NeighbourState) -> RouteNetlinkMessage {
        let mut entry = NeighbourMessage::default();
        entry.header.family = AddressFamily::Inet;
        entry.header.ifindex = interface;
        entry.header.state = state;
        let address = NeighbourAddress::Inet([10, 0, 0, 1].into());
        entry.attributes = vec![
            NeighbourAttribute::Probes(3),
            NeighbourAttribute::Destination(address),
        ];
        RouteNetlinkMessage::NewNeighbour(entry)
    }

    #[test]
    fn only_what_never_answered_on_this_interface_is_forgotten() {
        for (interface, state, forgotten) in [
            (2, NeighbourState::Incomplete, true),
            (2, NeighbourState::Failed, true),
            (2, NeighbourState::Reachable, false),
            (2, NeighbourState::Stale, false),
            (2, NeighbourState::Permanent, false),
            (3, NeighbourState::Failed, false),
        ] {
            let found = silent(&entry(interface, state), 2);
            assert_eq!(found.is_some(), forgotten, "{interface} {state:?}");
            let attributes = found.map_or(1, |entry| entry.attributes.len());
            assert_eq!(attributes, 1, "the address alone names it");
        }
    }
}
