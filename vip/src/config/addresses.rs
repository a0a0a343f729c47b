//! The conversion of `addresses` and `excluded`.

use std::collections::BTreeSet;
use std::net::Ipv4Addr;

use config::KeyPath;
use vrrp::{Family, Version};

use super::reader::Reader;
use super::{Address, Travel, VirtualAddress, file};

/// keepalived's limit; an advert with so many still fits every network's MTU.
const ADVERTISED: usize = 20;
/// Each is renewed four times a second, which takes the kernel some ten microseconds.
const EXCLUDED: usize = 100;
/// `IFNAMSIZ` less the closing NUL, of which the kernel makes labels, too.
const LABEL_BYTES: usize = 15;

impl Reader<'_> {
    pub(super) fn addresses(
        &mut self,
        version: Version,
        files: &[file::VirtualAddress],
        at: &KeyPath,
    ) -> Option<Vec<VirtualAddress>> {
        if files.is_empty() || files.len() > ADVERTISED {
            return self.refuse(at, "must hold 1 to 20 addresses");
        }
        let read = files.iter().enumerate().map(|(position, file)| {
            let (address, at) = self.address(file, &at.index(position))?;
            if Family::of(address.ip()) == Family::V6 && version == Version::V2 {
                let problem = "is IPv6, which VRRPv2 does not carry; write version: 3";
                return self.refuse(&at, problem);
            }
            Some((address, at))
        });
        let read: Vec<_> = read
            .collect::<Vec<_>>()
            .into_iter()
            .collect::<Option<_>>()?;
        let distinct: BTreeSet<_> =
            read.iter().map(|(address, _)| address.ip()).collect();
        if distinct.len() < read.len() {
            return self.refuse(at, "names an address twice");
        }
        let family = |address: &VirtualAddress| Family::of(address.ip());
        let first = read.first().map(|(address, _)| family(address));
        let other = read
            .iter()
            .find(|(address, _)| Some(family(address)) != first);
        if let Some((_, at)) = other {
            return self.refuse(
                at,
                "is of another family than the first: IPv4 and IPv6 are two routers \
                 (RFC 9568 section 1.1), which may share a VRID; write a second one",
            );
        }
        Some(read.into_iter().map(|(address, _)| address).collect())
    }

    /// Those that stand in no advert. `family`: of those that do.
    pub(super) fn excluded(
        &mut self,
        family: Option<Family>,
        advertised: &Option<Vec<VirtualAddress>>,
        files: &[file::VirtualAddress],
        at: &KeyPath,
    ) -> Option<Vec<VirtualAddress>> {
        if files.len() > EXCLUDED {
            return self.refuse(at, "must hold 100 addresses at most");
        }
        let advertised = advertised.iter().flatten();
        let mut known: BTreeSet<_> = advertised.map(VirtualAddress::ip).collect();
        let read = files.iter().enumerate().map(|(position, file)| {
            let (address, at) = self.address(file, &at.index(position))?;
            if family.is_some_and(|it| it != Family::of(address.ip())) {
                return self.refuse(
                    &at,
                    "is of another family than addresses; write a second router, \
                     and a sync group of the two",
                );
            }
            if !known.insert(address.ip()) {
                return self.refuse(&at, "is there already");
            }
            Some(address)
        });
        read.collect::<Vec<_>>().into_iter().collect()
    }

    /// An address outside the network that adverts come from is reached by a route or not
    /// at all. A host's address (/32) says nothing about its network.
    pub(super) fn near(
        &mut self,
        addresses: &[VirtualAddress],
        travel: &Travel,
        at: &KeyPath,
    ) {
        let Travel::Unicast {
            source: Some(source),
            ..
        } = travel
        else {
            return;
        };
        let here = addresses.iter().enumerate();
        for (position, it) in here.filter(|(_, it)| it.device.is_none()) {
            let address = it.address;
            let longest = if address.ip.is_ipv4() { 32 } else { 128 };
            let near = address.prefix == longest || address.covers(*source);
            if !near && Family::of(address.ip) == Family::of(*source) {
                let problem =
                    format!("lies outside the network of unicast.source {source}");
                self.warn(&self.text_at(&at.index(position)), problem);
            }
        }
    }

    /// Where the text of an address stands.
    fn text_at(&self, at: &KeyPath) -> KeyPath {
        let inside = at.key("address");
        if self.source.has(&inside) {
            inside
        } else {
            at.clone()
        }
    }

    /// ip-address(8) refuses such labels, and ifconfig does not show them.
    pub(super) fn labelled(
        &mut self,
        addresses: &[VirtualAddress],
        home: Option<&str>,
        at: &KeyPath,
    ) {
        for (position, address) in addresses.iter().enumerate() {
            let device = address.device.as_deref().or(home);
            if let (Some(label), Some(device)) = (&address.label, device)
                && !label.starts_with(device)
            {
                let problem = format!(
                    "does not begin with the interface's name; write it like \"{device}:vip\""
                );
                self.warn(&at.index(position).key("label"), problem);
            }
        }
    }

    /// One address, and where its text stands.
    fn address(
        &mut self,
        file: &file::VirtualAddress,
        at: &KeyPath,
    ) -> Option<(VirtualAddress, KeyPath)> {
        match file {
            file::VirtualAddress::Bare(text) => {
                let address: Address = self.try_at(at, text.parse())?;
                Some((address.into(), at.clone()))
            }
            file::VirtualAddress::Placed(placed) => {
                let text_at = at.key("address");
                let address = self.try_at(&text_at, placed.address.parse::<Address>());
                let device = match &placed.device {
                    None => Some(None),
                    Some(name) => self.interface(name, &at.key("device")).map(Some),
                };
                let mut address = VirtualAddress::from(address?);
                address.device = device?;
                self.qualify(&mut address, placed, at)?;
                Some((address, text_at))
            }
        }
    }

    /// What only IPv4 addresses have.
    fn qualify(
        &mut self,
        address: &mut VirtualAddress,
        placed: &file::Placed,
        at: &KeyPath,
    ) -> Option<()> {
        if Family::of(address.ip()) == Family::V6 {
            let written = [
                ("label", placed.label.is_some()),
                ("scope", placed.scope.is_some()),
                ("broadcast", placed.broadcast.is_some()),
            ];
            return match written.iter().find(|(_, is_there)| *is_there) {
                None => Some(()),
                Some((key, _)) => self.refuse(
                    &at.key(*key),
                    "is of IPv4 addresses only: of an IPv6 address the kernel keeps none, \
                     or knows it; leave it out",
                ),
            };
        }
        address.scope = placed.scope.unwrap_or_default();
        if let Some(label) = &placed.label {
            address.label = Some(self.label(label, &at.key("label"))?);
        }
        if let Some(text) = &placed.broadcast {
            let at = at.key("broadcast");
            let Ok(broadcast) = text.parse::<Ipv4Addr>() else {
                let problem = "is not an IPv4 address; write it like \"192.168.220.255\"";
                return self.refuse(&at, problem);
            };
            address.broadcast = Some(broadcast);
        }
        Some(())
    }

    fn label(&mut self, label: &str, at: &KeyPath) -> Option<String> {
        let good = |c: char| c.is_ascii_graphic() && c != '/';
        if label.is_empty() || label.len() > LABEL_BYTES || !label.chars().all(good) {
            return self.refuse(
                at,
                "is not a label; allowed: 1 to 15 bytes without spaces, as in \"eth0:vip\"",
            );
        }
        Some(label.to_owned())
    }
}
