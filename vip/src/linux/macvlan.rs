//! Requests about interfaces of the kind macvlan, which have a hardware address of their own
//! on the wire of another interface, and about how an interface deals with ARP.
//!
//! The settings that `sysctl` knows under net.ipv4.conf go over rtnetlink, too: that takes
//! `CAP_NET_ADMIN`, where a file below /proc/sys takes root and is hidden by the unit.

use netlink_packet_core::{
    DefaultNla, Emitable, NLA_F_NESTED, NLM_F_ACK, NLM_F_CREATE, NLM_F_DUMP, NLM_F_EXCL,
};
use netlink_packet_route::RouteNetlinkMessage;
use netlink_packet_route::link::{
    AfSpecInet, AfSpecInet6, AfSpecUnspec, In6AddrGenMode, InfoData, InfoKind,
    InfoMacVlan, LinkAttribute, LinkFlags, LinkInfo, LinkMessage, MacVlanMode,
};

use super::netlink::{Netlink, RequestError};

/// `IFLA_INET_CONF` of linux/if_link.h.
const INET_CONF: u16 = 1;

/// A setting of net.ipv4.conf, by its number in linux/ip.h.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u16)]
pub(super) enum Setting {
    RpFilter = 8,
    ArpAnnounce = 18,
    ArpIgnore = 19,
    PromoteSecondaries = 20,
    AcceptLocal = 23,
}

/// A macvlan as the kernel describes it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Macvlan {
    /// Its number.
    pub(super) index: u32,
    /// Its name.
    pub(super) name: String,
    /// The number of the interface whose wire it is on.
    pub(super) base: Option<u32>,
    /// Its hardware address.
    pub(super) mac: Option<[u8; 6]>,
    /// It hears no other macvlan, and frames from its own hardware address.
    pub(super) private: bool,
    /// What somebody has written beside its name.
    pub(super) alias: Option<String>,
    /// It is administratively up.
    pub(super) up: bool,
}

/// How an interface deals with ARP.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct ArpRules {
    /// `arp_ignore`: 0 answers for every address of the host.
    pub(super) ignore: u32,
    /// `arp_announce`: 0 asks in the name of any address of the host.
    pub(super) announce: u32,
}

/// What an interface is to be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Turn {
    Up,
    Down,
}

impl Netlink {
    /// Makes a macvlan that is down, in private mode: it hears frames that carry its own
    /// hardware address as their source, and no other macvlan of this host.
    ///
    /// # Errors
    /// When the kernel refuses.
    pub(super) fn make_macvlan(
        &mut self,
        base: u32,
        name: &str,
        mac: [u8; 6],
    ) -> Result<(), RequestError> {
        let mode = vec![InfoMacVlan::Mode(MacVlanMode::Private)];
        let mut message = LinkMessage::default();
        message.attributes = vec![
            LinkAttribute::LinkInfo(vec![
                LinkInfo::Kind(InfoKind::MacVlan),
                LinkInfo::Data(InfoData::MacVlan(mode)),
            ]),
            LinkAttribute::Link(base),
            LinkAttribute::IfName(name.to_owned()),
            LinkAttribute::Address(mac.to_vec()),
        ];
        let request = RouteNetlinkMessage::NewLink(message);
        let flags = NLM_F_ACK | NLM_F_CREATE | NLM_F_EXCL;
        self.exchange(
            request,
            flags,
            "make the interface with the virtual hardware address",
        )?;
        Ok(())
    }

    /// Writes `alias` beside the name of an interface, and has the kernel give it no IPv6
    /// address: one made from the virtual hardware address would be that of every node
    /// (RFC 9568 section 7.4).
    ///
    /// # Errors
    /// When the kernel refuses.
    pub(super) fn mark(&mut self, index: u32, alias: &str) -> Result<(), RequestError> {
        let silent = AfSpecInet6::AddrGenMode(In6AddrGenMode::None);
        let mut message = LinkMessage::default();
        message.header.index = index;
        message.attributes = vec![
            LinkAttribute::IfAlias(alias.to_owned()),
            LinkAttribute::AfSpecUnspec(vec![AfSpecUnspec::Inet6(vec![silent])]),
        ];
        let request = RouteNetlinkMessage::SetLink(message);
        self.exchange(request, NLM_F_ACK, "mark the interface as ours")?;
        Ok(())
    }

    /// Deletes an interface. One that is not there is no error.
    ///
    /// # Errors
    /// When the kernel refuses.
    pub(super) fn delete_link(&mut self, index: u32) -> Result<(), RequestError> {
        let mut message = LinkMessage::default();
        message.header.index = index;
        let request = RouteNetlinkMessage::DelLink(message);
        match self.exchange(request, NLM_F_ACK, "delete the interface") {
            Ok(_) => Ok(()),
            Err(error) if error.is_about_nothing() => Ok(()),
            Err(error) => Err(error),
        }
    }

    /// Sets an interface up or down.
    ///
    /// # Errors
    /// When the kernel refuses.
    pub(super) fn turn(&mut self, index: u32, turn: Turn) -> Result<(), RequestError> {
        let (flags, operation) = match turn {
            Turn::Up => (LinkFlags::Up, "set the interface up"),
            Turn::Down => (LinkFlags::empty(), "set the interface down"),
        };
        let mut message = LinkMessage::default();
        message.header.index = index;
        message.header.flags = flags;
        message.header.change_mask = LinkFlags::Up;
        let request = RouteNetlinkMessage::SetLink(message);
        self.exchange(request, NLM_F_ACK, operation)?;
        Ok(())
    }

    /// Changes settings of net.ipv4.conf on an interface.
    ///
    /// # Errors
    /// When the kernel refuses.
    pub(super) fn set_inet(
        &mut self,
        index: u32,
        settings: &[(Setting, u32)],
    ) -> Result<(), RequestError> {
        let all = settings.iter().map(|(setting, value)| {
            DefaultNla::new(*setting as u16, value.to_ne_bytes().to_vec())
        });
        let all: Vec<_> = all.collect();
        let mut nested = vec![0; all.as_slice().buffer_len()];
        all.as_slice().emit(&mut nested);
        // The library's own form leaves values of 0 out.
        let nested = DefaultNla::new(INET_CONF | NLA_F_NESTED, nested);
        let wanted = AfSpecUnspec::Inet(vec![AfSpecInet::Other(nested)]);
        let mut message = LinkMessage::default();
        message.header.index = index;
        message.attributes = vec![LinkAttribute::AfSpecUnspec(vec![wanted])];
        let request = RouteNetlinkMessage::SetLink(message);
        self.exchange(
            request,
            NLM_F_ACK,
            "change how the interface deals with ARP",
        )?;
        Ok(())
    }

    /// Every macvlan there is.
    ///
    /// # Errors
    /// When the kernel cannot be asked.
    pub(super) fn macvlans(&mut self) -> Result<Vec<Macvlan>, RequestError> {
        let request = RouteNetlinkMessage::GetLink(LinkMessage::default());
        let answers = self.exchange(request, NLM_F_DUMP, "list the interfaces")?;
        Ok(answers.iter().filter_map(macvlan).collect())
    }

    /// How the interface deals with ARP; `None` when it is not there.
    ///
    /// # Errors
    /// When the kernel cannot be asked.
    pub(super) fn arp_rules(
        &mut self,
        index: u32,
    ) -> Result<Option<ArpRules>, RequestError> {
        let request = RouteNetlinkMessage::GetLink(LinkMessage::default());
        let answers = self.exchange(request, NLM_F_DUMP, "list the interfaces")?;
        Ok(answers.iter().find_map(|answer| arp_rules(answer, index)))
    }
}

fn macvlan(message: &RouteNetlinkMessage) -> Option<Macvlan> {
    let RouteNetlinkMessage::NewLink(message) = message else {
        return None;
    };
    let mut found = Macvlan {
        index: message.header.index,
        name: String::new(),
        base: None,
        mac: None,
        private: false,
        alias: None,
        up: message.header.flags.contains(LinkFlags::Up),
    };
    let mut kind = None;
    for attribute in &message.attributes {
        if let LinkAttribute::IfName(value) = attribute {
            found.name.clone_from(value);
        } else if let LinkAttribute::Link(value) = attribute {
            found.base = Some(*value);
        } else if let LinkAttribute::Address(value) = attribute {
            found.mac = value.as_slice().try_into().ok();
        } else if let LinkAttribute::IfAlias(value) = attribute {
            found.alias = Some(value.clone());
        } else if let LinkAttribute::LinkInfo(infos) = attribute {
            let is_kind = |info: &&LinkInfo| matches!(info, LinkInfo::Kind(_));
            kind = infos.iter().find(is_kind);
            found.private = infos.iter().any(is_private);
        }
    }
    (kind == Some(&LinkInfo::Kind(InfoKind::MacVlan))).then_some(found)
}

fn is_private(info: &LinkInfo) -> bool {
    let mode = InfoMacVlan::Mode(MacVlanMode::Private);
    if let LinkInfo::Data(InfoData::MacVlan(facts)) = info {
        facts.contains(&mode)
    } else {
        false
    }
}

fn arp_rules(message: &RouteNetlinkMessage, index: u32) -> Option<ArpRules> {
    let RouteNetlinkMessage::NewLink(message) = message else {
        return None;
    };
    if message.header.index != index {
        return None;
    }
    message.attributes.iter().find_map(|attribute| {
        let LinkAttribute::AfSpecUnspec(specs) = attribute else {
            return None;
        };
        specs.iter().find_map(rules)
    })
}

fn rules(spec: &AfSpecUnspec) -> Option<ArpRules> {
    let AfSpecUnspec::Inet(facts) = spec else {
        return None;
    };
    facts.iter().find_map(|fact| {
        let AfSpecInet::DevConf(settings) = fact else {
            return None;
        };
        let value = |setting: i32| u32::try_from(setting).unwrap_or(0);
        Some(ArpRules {
            ignore: value(settings.arp_ignore),
            announce: value(settings.arp_announce),
        })
    })
}
