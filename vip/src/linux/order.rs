//! The order of addresses on an interface: the host's own first, ours after it.
//!
//! The kernel takes the later addresses of an IPv4 network away with the first one, unless
//! `promote_secondaries` is set; and the first one is what programs speak from. So that is
//! set where our addresses are put, and an address of ours that has become the first, since
//! the host's own was away for a moment, is put behind it again.

use netlink_packet_core::NLM_F_ACK;
use netlink_packet_route::RouteNetlinkMessage;
use netlink_packet_route::link::{
    AfSpecInet, AfSpecUnspec, InetDevConf, LinkAttribute, LinkMessage,
};

use super::addresses::Present;
use super::netlink::{Netlink, RequestError};

/// What becomes of the later addresses of a network when the first one goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Succession {
    /// They go too: the kernel's own setting.
    Lost,
    /// The next one takes the place.
    Promoted,
}

impl Netlink {
    /// Sets `promote_secondaries` on the interface.
    ///
    /// # Errors
    /// When the kernel refuses.
    pub fn promote_secondaries(&mut self, interface: u32) -> Result<(), RequestError> {
        let mut settings = InetDevConf::default();
        settings.promote_secondaries = 1;
        let wanted = AfSpecUnspec::Inet(vec![AfSpecInet::DevConfRequest(settings)]);
        let mut message = LinkMessage::default();
        message.header.index = interface;
        message.attributes = vec![LinkAttribute::AfSpecUnspec(vec![wanted])];
        let request = RouteNetlinkMessage::SetLink(message);
        self.exchange(request, NLM_F_ACK, "set promote_secondaries")?;
        Ok(())
    }
}

/// What the kernel says about IPv4 on an interface.
pub(super) fn succession(spec: &AfSpecUnspec) -> Option<Succession> {
    let AfSpecUnspec::Inet(facts) = spec else {
        return None;
    };
    facts.iter().find_map(|fact| {
        if let AfSpecInet::DevConf(settings) = fact {
            Some(match settings.promote_secondaries {
                0 => Succession::Lost,
                _ => Succession::Promoted,
            })
        } else {
            None
        }
    })
}

/// Does `ours` stand before an address of the host in the same network?
pub(super) fn stands_first(ours: &Present, all: &[Present]) -> bool {
    let same_network = |other: &&Present| {
        other.address.prefix == ours.address.prefix
            && ours.address.covers(other.address.ip)
    };
    let behind = |other: &Present| other.secondary && !other.ours;
    !ours.secondary && all.iter().filter(same_network).any(behind)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::guard::Held;
    use crate::linux::PROTOCOL;

    fn present(address: &str, ours: bool, secondary: bool) -> Present {
        let held = Held {
            interface: 2,
            address: address.parse().unwrap(),
        };
        Present {
            ours,
            secondary,
            ..Present::shown(held, ours.then_some(PROTOCOL), 1)
        }
    }

    #[test]
    fn ours_stands_first_only_before_the_host_s_own() {
        for (ours_is_second, other, others, secondary, first) in [
            (false, "10.0.0.1/24", false, true, true),
            (true, "10.0.0.1/24", false, false, false),
            (false, "10.0.1.1/24", false, true, false),
            (false, "10.0.0.1/16", false, true, false),
            (false, "10.0.0.2/24", true, true, false),
        ] {
            let ours = present("10.0.0.100/24", true, ours_is_second);
            let all = [ours.clone(), present(other, others, secondary)];
            assert_eq!(stands_first(&ours, &all), first, "{other}");
        }
    }
}
