//! The list of addresses in an advert.

use std::net::IpAddr;
use std::ops::Deref;

use crate::Family;

/// 1 to 255 addresses of one family, in the order of the configuration: what an advert
/// can carry.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Addresses(Vec<IpAddr>);

/// Why a list of addresses does not fit into an advert.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum AddressesError {
    /// An advert names at least one.
    #[error("no address")]
    Empty,
    /// The count has 8 bits.
    #[error("{0} addresses, an advert carries up to 255")]
    TooMany(usize),
    /// IPv4 and IPv6 together: these are two virtual routers.
    #[error("IPv4 and IPv6 addresses in one router")]
    Mixed,
}

impl Addresses {
    /// The list, if an advert can carry it.
    ///
    /// # Errors
    /// [`AddressesError`] for none, for more than 255, and for two families.
    pub fn new(addresses: Vec<IpAddr>) -> Result<Self, AddressesError> {
        let first = addresses.first().ok_or(AddressesError::Empty)?;
        let family = Family::of(*first);
        if addresses.len() > usize::from(u8::MAX) {
            return Err(AddressesError::TooMany(addresses.len()));
        }
        if addresses
            .iter()
            .any(|address| Family::of(*address) != family)
        {
            return Err(AddressesError::Mixed);
        }
        Ok(Self(addresses))
    }

    /// IPv4 or IPv6.
    pub fn family(&self) -> Family {
        self.0
            .first()
            .map_or(Family::V4, |address| Family::of(*address))
    }

    /// Count IPvX Addr.
    pub(crate) fn count(&self) -> u8 {
        u8::try_from(self.0.len()).unwrap_or(u8::MAX)
    }

    /// The same addresses in whatever order?
    pub fn same_set(&self, other: &Self) -> bool {
        sorted(&self.0) == sorted(&other.0)
    }
}

impl Deref for Addresses {
    type Target = [IpAddr];

    fn deref(&self) -> &[IpAddr] {
        &self.0
    }
}

fn sorted(addresses: &[IpAddr]) -> Vec<IpAddr> {
    let mut sorted = addresses.to_vec();
    sorted.sort_unstable();
    sorted.dedup();
    sorted
}

#[cfg(test)]
mod tests {
    use super::*;

    fn list(count: u32) -> Vec<IpAddr> {
        (0..count).map(|n| IpAddr::from(n.to_be_bytes())).collect()
    }

    #[test]
    fn an_advert_carries_one_to_255_addresses_of_one_family() {
        assert_eq!(Addresses::new(list(0)), Err(AddressesError::Empty));
        assert_eq!(Addresses::new(list(1)).unwrap().len(), 1);
        assert_eq!(Addresses::new(list(255)).unwrap().count(), 255);
        assert_eq!(Addresses::new(list(256)), Err(AddressesError::TooMany(256)));
        let mut mixed = list(2);
        mixed.push("fd55::100".parse().unwrap());
        assert_eq!(Addresses::new(mixed), Err(AddressesError::Mixed));
    }

    #[test]
    fn sets_are_the_same_in_any_order_and_number() {
        let set = |numbers: &[u32]| {
            let addresses = numbers.iter().map(|n| IpAddr::from(n.to_be_bytes()));
            Addresses::new(addresses.collect()).unwrap()
        };
        assert!(set(&[1, 2, 3]).same_set(&set(&[3, 1, 2])));
        assert!(set(&[1, 2, 2]).same_set(&set(&[1, 2])));
        assert!(!set(&[1, 2, 3]).same_set(&set(&[1, 2])));
        assert!(!set(&[1, 2]).same_set(&set(&[1, 3])));
    }
}
