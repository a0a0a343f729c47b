//! The nouns of the protocol: router identity, priority, version, family and state.

use std::fmt;
use std::net::IpAddr;
use std::num::NonZeroU8;

/// Virtual router identifier, 1..=255 (RFC 9568 section 5.2.3).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Vrid(NonZeroU8);

impl Vrid {
    /// The identifier, or `None` for 0, which the RFC leaves out.
    pub const fn new(vrid: u8) -> Option<Self> {
        match NonZeroU8::new(vrid) {
            Some(vrid) => Some(Self(vrid)),
            None => None,
        }
    }

    /// As it stands on the wire.
    pub const fn get(self) -> u8 {
        self.0.get()
    }
}

impl fmt::Display for Vrid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// Priority of a router (RFC 9568 section 5.2.4): higher wins.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Priority(u8);

impl Priority {
    /// Sent by an Active that stops: "take over now".
    pub const RELEASE: Self = Self(0);
    /// Lowest that a router may run with.
    pub const MIN: Self = Self(1);
    /// What a router has that was told nothing.
    pub const DEFAULT: Self = Self(100);
    /// Highest that arithmetic may reach.
    pub const MAX: Self = Self(254);
    /// The owner of the addresses: Active at once, never changed by tracking.
    pub const OWNER: Self = Self(255);

    /// Any value of the wire, 0 and 255 with their meanings.
    pub const fn new(priority: u8) -> Self {
        Self(priority)
    }

    /// As it stands on the wire.
    pub const fn get(self) -> u8 {
        self.0
    }

    /// Is this the owner's 255?
    pub const fn is_owner(self) -> bool {
        self.0 == Self::OWNER.0
    }

    /// Is this the 0 of an Active that stops?
    pub const fn is_release(self) -> bool {
        self.0 == Self::RELEASE.0
    }

    /// What tracking makes of a configured priority: the weights that apply are added
    /// and the sum is held within 1..=254; an owner's 255 never changes.
    #[must_use]
    pub fn adjusted(self, weights: i32) -> Self {
        if self.is_owner() {
            return self;
        }
        let sum = i32::from(self.0).saturating_add(weights);
        let held = sum.clamp(i32::from(Self::MIN.0), i32::from(Self::MAX.0));
        u8::try_from(held).map_or(Self::MIN, Self)
    }

    /// Steps to 256, the factor of every skew (RFC 9568 section 6.1).
    pub(crate) fn below_256(self) -> u32 {
        256 - u32::from(self.0)
    }
}

impl fmt::Display for Priority {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// Which protocol a router speaks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Version {
    /// RFC 3768, with the password of RFC 2338 as keepalived keeps it.
    V2,
    /// RFC 9568.
    V3,
}

impl Version {
    /// The number in the first half of the first octet.
    pub const fn number(self) -> u8 {
        match self {
            Self::V2 => 2,
            Self::V3 => 3,
        }
    }

    /// The version of that number, if there is one.
    pub const fn from_number(number: u8) -> Option<Self> {
        match number {
            2 => Some(Self::V2),
            3 => Some(Self::V3),
            _ => None,
        }
    }
}

impl fmt::Display for Version {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "VRRPv{}", self.number())
    }
}

/// Which Internet Protocol carries the adverts and the addresses.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Family {
    /// IPv4.
    V4,
    /// IPv6, with VRRPv3 only.
    V6,
}

impl Family {
    /// The family of an address.
    pub const fn of(address: IpAddr) -> Self {
        match address {
            IpAddr::V4(_) => Self::V4,
            IpAddr::V6(_) => Self::V6,
        }
    }

    /// Octets of one address on the wire.
    pub const fn octets(self) -> usize {
        match self {
            Self::V4 => 4,
            Self::V6 => 16,
        }
    }

    /// The group that adverts go to (RFC 9568 sections 5.1.1.2 and 5.1.2.2).
    pub const fn group(self) -> IpAddr {
        match self {
            Self::V4 => IpAddr::V4(crate::GROUP_V4),
            Self::V6 => IpAddr::V6(crate::GROUP_V6),
        }
    }
}

/// Where a router stands (RFC 9568 section 6.4).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum State {
    /// Not started, or stopped.
    Initialize,
    /// Started, and kept from taking part: keepalived's FAULT. The RFC knows only its
    /// Initialize for this.
    Fault,
    /// Listens, and takes over when the Active falls silent.
    Backup,
    /// Holds the addresses and advertises.
    Active,
}

impl State {
    /// Every state, for gauges that list them all.
    pub const ALL: [Self; 4] =
        [Self::Initialize, Self::Fault, Self::Backup, Self::Active];

    /// Lower-case name for metrics and JSON.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Initialize => "initialize",
            Self::Fault => "fault",
            Self::Backup => "backup",
            Self::Active => "active",
        }
    }
}

impl fmt::Display for State {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn k1_priorities_are_held_between_1_and_254() {
        let cases = [
            (100, 0, 100),
            (100, -50, 50),
            (100, -99, 1),
            (100, -100, 1),
            (100, i32::MIN, 1),
            (100, 154, 254),
            (100, 155, 254),
            (254, i32::MAX, 254),
            (255, -50, 255),
            (255, 50, 255),
        ];
        for (base, weights, expected) in cases {
            let adjusted = Priority::new(base).adjusted(weights);
            assert_eq!(adjusted, Priority::new(expected), "{base} {weights:+}");
        }
    }

    #[test]
    fn zero_is_no_vrid() {
        assert_eq!(Vrid::new(0), None);
        assert_eq!(Vrid::new(1).map(Vrid::get), Some(1));
        assert_eq!(Vrid::new(255).map(Vrid::get), Some(255));
    }
}
