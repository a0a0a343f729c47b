//! The conversion of `virtualMac`, and what must hold between routers that have one.

use std::collections::BTreeSet;

use config::KeyPath;
use vrrp::{Family, Vrid};

use super::reader::Reader;
use super::{Router, file};

pub use super::file::AdvertsFrom;

/// The virtual hardware address of a router (RFC 9568 section 7.3), and the interface that
/// has it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct VirtualMac {
    /// The name of the interface.
    pub name: String,
    /// The hardware address that adverts come from.
    pub adverts_from: AdvertsFrom,
}

impl VirtualMac {
    /// Of the interface: keepalived's, which takes the first for IPv6, too, while it is free.
    fn default_name(family: Family, vrid: Vrid) -> String {
        match family {
            Family::V4 => format!("vrrp.{}", vrid.get()),
            Family::V6 => format!("vrrp6.{}", vrid.get()),
        }
    }
}

/// 00-00-5E-00-01-{VRID} and 00-00-5E-00-02-{VRID}.
pub(super) fn address(family: Family, vrid: Vrid) -> [u8; 6] {
    match family {
        Family::V4 => [0x00, 0x00, 0x5e, 0x00, 0x01, vrid.get()],
        Family::V6 => [0x00, 0x00, 0x5e, 0x00, 0x02, vrid.get()],
    }
}

impl Reader<'_> {
    /// `family` and `vrid`: where they could be read. `unicast`: adverts go to peers.
    pub(super) fn virtual_mac(
        &mut self,
        file: &file::Router,
        family: Option<Family>,
        vrid: Option<Vrid>,
        at: &KeyPath,
    ) -> Option<Option<VirtualMac>> {
        let Some(wanted) = &file.virtual_mac else {
            return Some(None);
        };
        let from_at = at.key("advertsFrom");
        let adverts_from = match (wanted.adverts_from, &file.unicast) {
            (Some(AdvertsFrom::VirtualMac), Some(_)) => {
                return self.refuse(
                    &from_at,
                    "is for multicast only: peers answer to the interface's own hardware \
                     address; write interface, or leave it out",
                );
            }
            (Some(from), _) => from,
            (None, Some(_)) => AdvertsFrom::Interface,
            (None, None) => AdvertsFrom::VirtualMac,
        };
        if (family, adverts_from) == (Some(Family::V6), AdvertsFrom::Interface) {
            self.warn(
                at,
                "over IPv6 with adverts from the interface's own hardware address: the \
                 kernel of a node that gives the address up tells switches that it leaves \
                 its group, from the virtual one; they may look for it there for 200 ms, or \
                 5 s where the next node is a keepalived",
            );
        }
        let name = match &wanted.name {
            Some(name) => self.interface(name, &at.key("name"))?,
            None => VirtualMac::default_name(family?, vrid?),
        };
        Some(Some(VirtualMac { name, adverts_from }))
    }

    /// Each has an interface of its own.
    pub(super) fn own_interfaces(&mut self, routers: &[Router], at: &KeyPath) {
        let others = routers.iter().flat_map(|router| {
            let devices = router.held().filter_map(|it| it.device.as_ref());
            devices.chain([&router.interface])
        });
        let mut names: BTreeSet<_> = others.collect();
        for (position, router) in routers.iter().enumerate() {
            let Some(virtual_mac) = &router.virtual_mac else {
                continue;
            };
            if !names.insert(&virtual_mac.name) {
                let at = at.index(position).key("virtualMac");
                let problem = format!(
                    "makes an interface {}, which another router uses; write another name",
                    virtual_mac.name
                );
                self.refuse::<()>(&at, problem);
            }
        }
    }
}
