//! Interfaces as the kernel describes them.

use netlink_packet_core::NLM_F_DUMP;
use netlink_packet_route::link::{
    AfSpecInet6, AfSpecUnspec, LinkAttribute, LinkFlags, LinkMessage,
};
use netlink_packet_route::{AddressFamily, RouteNetlinkMessage};

use super::nd::Role;
use super::netlink::{Netlink, RequestError};
use super::order::{Succession, succession};

/// A network interface as the kernel describes it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Link {
    /// The number the kernel knows it by; a recreated interface gets another one.
    pub index: u32,
    /// Its name.
    pub name: String,
    /// Its hardware address; absent where it is no Ethernet, or has no neighbours.
    pub mac: Option<[u8; 6]>,
    /// It is administratively up.
    pub up: bool,
    /// It is that, and has a carrier.
    pub running: bool,
    /// Whether it forwards IPv6; a host where the kernel does not say.
    pub role: Role,
    /// What goes with the first IPv4 address of a network.
    pub succession: Succession,
}

impl Netlink {
    /// Every interface there is.
    ///
    /// # Errors
    /// When the kernel cannot be asked.
    pub fn links(&mut self) -> Result<Vec<Link>, RequestError> {
        let request = RouteNetlinkMessage::GetLink(LinkMessage::default());
        let answers = self.exchange(request, NLM_F_DUMP, "list the interfaces")?;
        Ok(answers.iter().filter_map(link).collect())
    }

    /// The interface of that name, if there is one.
    ///
    /// # Errors
    /// When the kernel cannot be asked.
    pub fn link(&mut self, name: &str) -> Result<Option<Link>, RequestError> {
        Ok(self.links()?.into_iter().find(|link| link.name == name))
    }
}

/// The link a message describes. A bridge reports its ports in messages of its own kind:
/// a port that leaves the bridge is "deleted" there, and still an interface.
pub(super) fn link(message: &RouteNetlinkMessage) -> Option<Link> {
    let (RouteNetlinkMessage::NewLink(message) | RouteNetlinkMessage::DelLink(message)) =
        message
    else {
        return None;
    };
    if message.header.interface_family != AddressFamily::Unspec {
        return None;
    }
    let mut mac = None;
    let mut name = None;
    let mut role = Role::Host;
    let mut promoted = None;
    for attribute in &message.attributes {
        if let LinkAttribute::IfName(value) = attribute {
            name = Some(value.clone());
        } else if let LinkAttribute::Address(value) = attribute {
            mac = value.as_slice().try_into().ok();
        } else if let LinkAttribute::AfSpecUnspec(specs) = attribute {
            if specs.iter().any(forwards) {
                role = Role::Router;
            }
            promoted = specs.iter().find_map(succession);
        }
    }
    let up = LinkFlags::Up | LinkFlags::LowerUp;
    // The kernel shows one of zeros there.
    if message.header.flags.contains(LinkFlags::Loopback) {
        mac = None;
    }
    Some(Link {
        index: message.header.index,
        name: name?,
        mac,
        up: message.header.flags.contains(LinkFlags::Up),
        running: message.header.flags.contains(up),
        role,
        succession: promoted.unwrap_or(Succession::Lost),
    })
}

fn forwards(spec: &AfSpecUnspec) -> bool {
    let AfSpecUnspec::Inet6(facts) = spec else {
        return false;
    };
    facts.iter().any(|fact| {
        if let AfSpecInet6::DevConf(settings) = fact {
            settings.forwarding != 0
        } else {
            false
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of_family(family: AddressFamily) -> RouteNetlinkMessage {
        let mut message = LinkMessage::default();
        message.header.interface_family = family;
        message.attributes = vec![LinkAttribute::IfName("eth0".to_owned())];
        RouteNetlinkMessage::DelLink(message)
    }

    #[test]
    fn a_port_that_leaves_a_bridge_is_no_interface_that_is_gone() {
        assert!(link(&of_family(AddressFamily::Unspec)).is_some());
        assert_eq!(link(&of_family(AddressFamily::Bridge)), None);
    }
}
