//! What a router finds on this machine before it starts, and every reason why it cannot.

use std::io;
use std::net::IpAddr;

use vrrp::Family;
use vrrp::packet::{Addresses, Advert};

use super::arp::{Frame, question};
use super::links::Link;
use super::nd::solicitation;
use super::netlink::{Netlink, RequestError};
use crate::config::{Router, Travel, VirtualAddress};

/// Why a router cannot work on this machine, with the way out.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// There is no such interface.
    #[error(
        "router {router}: there is no interface {interface} (there are: {present}); \
         correct `interface` or `device`, unless it comes later"
    )]
    NoInterface {
        /// The router.
        router: String,
        /// Its interface.
        interface: String,
        /// What there is instead.
        present: String,
    },
    /// It has no address that adverts could come from.
    #[error(
        "router {router}: {interface} has no {kind} for adverts to come from; \
         give it one, or write unicast.source"
    )]
    NoSource {
        /// The router.
        router: String,
        /// Its interface.
        interface: String,
        /// What it would take.
        kind: &'static str,
    },
    /// The address adverts should come from is somebody else's.
    #[error("router {router}: unicast.source {source_address} is not on {interface}")]
    ForeignSource {
        /// The router.
        router: String,
        /// Its interface.
        interface: String,
        /// What was configured.
        source_address: IpAddr,
    },
    /// An interface of somebody else has the name of ours.
    #[error(
        "router {router}: there is an interface {interface} that is not ours; write another \
         virtualMac.name, or delete it"
    )]
    Taken {
        /// The router.
        router: String,
        /// The name.
        interface: String,
    },
    /// It is no Ethernet.
    #[error("router {router}: {interface} has no hardware address to announce")]
    NoEthernet {
        /// The router.
        router: String,
        /// Its interface.
        interface: String,
    },
    /// A right is missing.
    #[error(
        "router {router}: the kernel refuses raw sockets; run as root, or give the \
         process CAP_NET_RAW and CAP_NET_ADMIN (the unit has both)"
    )]
    NotPermitted {
        /// The router.
        router: String,
    },
    /// A socket could not be had.
    #[error("router {router}: cannot open a socket on {interface}")]
    Socket {
        /// The router.
        router: String,
        /// Its interface.
        interface: String,
        /// What the kernel said.
        #[source]
        source: io::Error,
    },
    /// The kernel could not be asked.
    #[error(transparent)]
    Netlink(#[from] RequestError),
}

impl OpenError {
    /// Is it something that may come by itself, such as an interface that is made late in a
    /// boot, or an address that DHCP has not brought yet?
    pub fn may_come(&self) -> bool {
        match self {
            Self::NoInterface { .. }
            | Self::NoSource { .. }
            | Self::ForeignSource { .. } => true,
            Self::Taken { .. }
            | Self::NoEthernet { .. }
            | Self::NotPermitted { .. }
            | Self::Socket { .. }
            | Self::Netlink(_) => false,
        }
    }
}

/// What the peers of a unicast group are asked.
pub(super) fn questions(router: &Router, mac: [u8; 6], source: IpAddr) -> Vec<Frame> {
    let peers = match &router.travel {
        Travel::Multicast => &[][..],
        Travel::Unicast { peers, .. } => peers,
    };
    let peers = peers.iter().filter_map(|peer| match (source, peer) {
        (IpAddr::V4(source), IpAddr::V4(peer)) => Some(question(mac, source, *peer)),
        (IpAddr::V6(source), IpAddr::V6(peer)) => Some(solicitation(mac, source, *peer)),
        (IpAddr::V4(_), IpAddr::V6(_)) | (IpAddr::V6(_), IpAddr::V4(_)) => None,
    });
    peers.collect()
}

pub(super) fn advert(router: &Router) -> Result<Advert, OpenError> {
    let addresses = router.addresses.iter().map(VirtualAddress::ip).collect();
    let addresses = Addresses::new(addresses);
    let addresses = addresses.map_err(|error| OpenError::Socket {
        router: router.name.clone(),
        interface: router.interface.clone(),
        source: io::Error::other(error),
    })?;
    Ok(Advert {
        version: router.version,
        vrid: router.vrid,
        priority: router.priority,
        interval: router.interval,
        auth: router.auth,
        addresses,
    })
}

/// The interface of that name.
pub(super) fn find(
    netlink: &mut Netlink,
    router: &Router,
    name: &str,
) -> Result<Link, OpenError> {
    let links = netlink.links()?;
    let names: Vec<_> = links.iter().map(|link| link.name.clone()).collect();
    let found = links.into_iter().find(|link| link.name == name);
    found.ok_or_else(|| OpenError::NoInterface {
        router: router.name.clone(),
        interface: name.to_owned(),
        present: names.join(", "),
    })
}

/// Where adverts come from: as configured, else the first address of the interface that
/// is not a virtual one. Over IPv6 that is the link-local one (RFC 9568 section 5.1.2.1).
pub(super) fn source(
    netlink: &mut Netlink,
    router: &Router,
    link: &Link,
) -> Result<IpAddr, OpenError> {
    let family = router.family();
    let present = netlink.addresses(link.index)?;
    let own = present.iter().filter(|there| {
        let ip = there.address.ip;
        !there.ours
            && Family::of(ip) == family
            && router.held().all(|address| address.ip() != ip)
    });
    let wanted = match &router.travel {
        Travel::Unicast {
            source: Some(source),
            ..
        } => Some(*source),
        Travel::Unicast { source: None, .. } | Travel::Multicast => None,
    };
    let found = match wanted {
        Some(source) => own.clone().find(|there| there.address.ip == source),
        // A virtual address that came first makes the host's own a second one.
        None => own
            .clone()
            .filter(|there| speaks(there.address.ip))
            .min_by_key(|there| there.secondary),
    };
    match (found.map(|there| there.address.ip), wanted) {
        (Some(ip), _) => Ok(ip),
        (None, Some(source_address)) => Err(OpenError::ForeignSource {
            router: router.name.clone(),
            interface: router.interface.clone(),
            source_address,
        }),
        (None, None) => Err(OpenError::NoSource {
            router: router.name.clone(),
            interface: router.interface.clone(),
            kind: match family {
                Family::V4 => "IPv4 address",
                Family::V6 => "link-local IPv6 address",
            },
        }),
    }
}

/// From where neighbours are asked on an interface that is not the router's own; needed
/// over IPv6 only.
pub(super) fn speaks_from(
    netlink: &mut Netlink,
    router: &Router,
    link: &Link,
) -> Result<Option<IpAddr>, OpenError> {
    let family = router.family();
    let present = netlink.addresses(link.index)?;
    let own = present.iter().filter(|there| !there.ours);
    let mut own = own.map(|there| there.address.ip);
    Ok(own.find(|ip| Family::of(*ip) == family && speaks(*ip)))
}

fn speaks(ip: IpAddr) -> bool {
    match ip {
        IpAddr::V4(_) => true,
        IpAddr::V6(ip) => ip.is_unicast_link_local(),
    }
}

pub(super) fn not_opened(router: &Router, source: io::Error) -> OpenError {
    if source.kind() == io::ErrorKind::PermissionDenied {
        return OpenError::NotPermitted {
            router: router.name.clone(),
        };
    }
    OpenError::Socket {
        router: router.name.clone(),
        interface: router.interface.clone(),
        source,
    }
}
