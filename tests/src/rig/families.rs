//! Which addresses a description gives: machines have one of each family.

use std::net::{Ipv4Addr, Ipv6Addr};

use super::Box;

/// The virtual address.
pub const VIP: Ipv4Addr = Ipv4Addr::new(10, 79, 0, 100);
/// The one of IPv6.
pub const VIP_SIX: Ipv6Addr = Ipv6Addr::new(0xfd00, 0x79, 0, 0, 0, 0, 0, 0x100);

/// The addresses that a description names.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Families {
    /// IPv4 alone.
    Four,
    /// Both, IPv6 before IPv4.
    SixFirst,
    /// IPv6 alone.
    Six,
}

impl Families {
    /// Of each family that is named, the first one first.
    fn choose<T>(self, six: T, four: T) -> Vec<T> {
        match self {
            Self::Four => vec![four],
            Self::SixFirst => vec![six, four],
            Self::Six => vec![six],
        }
    }

    /// The virtual addresses, as a list of YAML.
    pub(super) fn endpoint(self) -> String {
        list(self.choose(format!("{VIP_SIX}/64"), format!("{VIP}/24")))
    }

    /// A machine's addresses, as a list of YAML.
    pub(super) fn of(self, one: &Box) -> String {
        list(self.choose(one.six().to_string(), one.address().to_string()))
    }

    /// The networks of Services and of Pods, as keys of YAML; none where they go without
    /// saying.
    pub(super) fn networks(self) -> String {
        if self == Self::Four {
            return String::new();
        }
        let both =
            |six: &str, four: &str| list(self.choose(six.to_owned(), four.to_owned()));
        let services = both("fd00:10:96::/112", "10.96.0.0/16");
        let pods = both("fd00:10:244::/48", "10.244.0.0/16");
        format!("services: {services}, pods: {pods}, ")
    }
}

fn list(addresses: Vec<String>) -> String {
    format!("[\"{}\"]", addresses.join("\", \""))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_those_of_the_families_the_first_one_first() {
        let one = Box::new("m1", 11, "etcd");
        for (families, wanted) in [
            (Families::Four, r#"["10.79.0.11"]"#),
            (Families::SixFirst, r#"["fd00:79::11", "10.79.0.11"]"#),
            (Families::Six, r#"["fd00:79::11"]"#),
        ] {
            assert_eq!(families.of(&one), wanted);
            let named = families.networks().is_empty();
            assert_eq!(named, families == Families::Four);
        }
        assert_eq!(Families::Six.endpoint(), r#"["fd00:79::100/64"]"#);
    }
}
