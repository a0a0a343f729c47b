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
