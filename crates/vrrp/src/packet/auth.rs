//! VRRPv2 authentication as keepalived keeps it (RFC 2338 section 5.3.6).

use std::fmt;

use subtle::ConstantTimeEq;

/// Length of the Authentication Data.
pub const PASSWORD_OCTETS: usize = 8;

/// Auth Type and Authentication Data of VRRPv2.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Auth {
    /// Type 0; the 8 octets are sent as zeros and not looked at.
    #[default]
    None,
    /// Type 1, Simple Text Password: in clear on the wire, so a guard against mistakes
    /// and not against anyone.
    Simple(Password),
}

/// A Simple Text Password: 8 octets, padded with NUL. Never shown by `Debug`, compared
/// in constant time.
#[derive(Clone, Copy)]
pub struct Password([u8; PASSWORD_OCTETS]);

impl Password {
    /// The first 8 octets of `text`, padded with NUL when there are fewer. Whether
    /// anything was cut off: `text.len() > PASSWORD_OCTETS`.
    pub fn new(text: &str) -> Self {
        let mut octets = [0; PASSWORD_OCTETS];
        octets
            .iter_mut()
            .zip(text.bytes())
            .for_each(|(octet, byte)| *octet = byte);
        Self(octets)
    }

    pub(crate) const fn from_wire(octets: [u8; PASSWORD_OCTETS]) -> Self {
        Self(octets)
    }

    pub(crate) const fn to_wire(self) -> [u8; PASSWORD_OCTETS] {
        self.0
    }
}

impl PartialEq for Password {
    fn eq(&self, other: &Self) -> bool {
        self.0.ct_eq(&other.0).into()
    }
}

impl Eq for Password {}

impl fmt::Debug for Password {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Password(..)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn c12_passwords_are_padded_and_truncated_to_eight_octets() {
        assert_eq!(Password::new("abc").to_wire(), *b"abc\0\0\0\0\0");
        assert_eq!(Password::new("42k8svip").to_wire(), *b"42k8svip");
        assert_eq!(
            Password::new("42k8svip-and-more"),
            Password::new("42k8svip")
        );
        assert_eq!(Password::new("").to_wire(), [0; 8]);
    }

    #[test]
    fn c13_a_difference_in_any_octet_counts_and_nothing_is_shown() {
        let ours = Password::new("42k8svip");
        for at in 0..PASSWORD_OCTETS {
            let mut octets = ours.to_wire();
            octets[at] ^= 1;
            assert_ne!(Password::from_wire(octets), ours, "octet {at}");
        }
        assert_eq!(format!("{:?}", Auth::Simple(ours)), "Simple(Password(..))");
    }
}
