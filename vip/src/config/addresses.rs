//! The conversion of `addresses` and `excluded`.

use std::collections::BTreeSet;

use config::KeyPath;
use vrrp::{Family, Version};

use super::Address;
use super::reader::Reader;

/// keepalived's limit; an advert with so many still fits every network's MTU.
const ADVERTISED: usize = 20;
/// Each is renewed four times a second, which takes the kernel some ten microseconds.
const EXCLUDED: usize = 100;

impl Reader<'_> {
    pub(super) fn addresses(
        &mut self,
        version: Version,
        texts: &[String],
        at: &KeyPath,
    ) -> Option<Vec<Address>> {
        if texts.is_empty() || texts.len() > ADVERTISED {
            return self.refuse(at, "must hold 1 to 20 addresses");
        }
        let read = texts.iter().enumerate().map(|(position, text)| {
            let at = at.index(position);
            match text.parse::<Address>() {
                Ok(address)
                    if Family::of(address.ip) == Family::V6 && version == Version::V2 =>
                {
                    self.refuse(
                        &at,
                        "is IPv6, which VRRPv2 does not carry; write version: 3",
                    )
                }
                Ok(address) => Some(address),
                Err(error) => self.refuse(&at, error),
            }
        });
        let addresses: Vec<_> = read
            .collect::<Vec<_>>()
            .into_iter()
            .collect::<Option<_>>()?;
        let distinct: BTreeSet<_> = addresses.iter().map(|address| address.ip).collect();
        if distinct.len() < addresses.len() {
            return self.refuse(at, "names an address twice");
        }
        let family = |address: &Address| Family::of(address.ip);
        let first = addresses.first().map(family);
        let other = addresses
            .iter()
            .position(|address| Some(family(address)) != first);
        if let Some(position) = other {
            return self.refuse(
                &at.index(position),
                "is of another family than the first: IPv4 and IPv6 are two routers \
                 (RFC 9568 section 1.1), which may share a VRID; write a second one",
            );
        }
        Some(addresses)
    }

    /// Those that stand in no advert. `family`: of those that do.
    pub(super) fn excluded(
        &mut self,
        family: Option<Family>,
        advertised: &Option<Vec<Address>>,
        texts: &[String],
        at: &KeyPath,
    ) -> Option<Vec<Address>> {
        if texts.len() > EXCLUDED {
            return self.refuse(at, "must hold 100 addresses at most");
        }
        let advertised = advertised.iter().flatten();
        let mut known: BTreeSet<_> = advertised.map(|address| address.ip).collect();
        let read = texts.iter().enumerate().map(|(position, text)| {
            let at = at.index(position);
            match text.parse::<Address>() {
                Ok(address) if family.is_some_and(|it| it != Family::of(address.ip)) => {
                    self.refuse(
                        &at,
                        "is of another family than addresses; write a second router, \
                         and a sync group of the two",
                    )
                }
                Ok(address) if !known.insert(address.ip) => {
                    self.refuse(&at, "is there already")
                }
                Ok(address) => Some(address),
                Err(error) => self.refuse(&at, error),
            }
        });
        read.collect::<Vec<_>>().into_iter().collect()
    }
}
