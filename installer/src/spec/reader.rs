//! Takes errors and warnings together while a file is converted.

use std::fmt::Display;
use std::net::IpAddr;

use config::{Errors, KeyPath, Source};
use ipnet::IpNet;

/// What every part of the conversion reports to. A method that refuses returns `None`, so
/// that the conversion goes on to the next key.
pub(super) struct Reader<'a> {
    pub(super) source: &'a Source,
    pub(super) errors: Errors,
    pub(super) warnings: Vec<String>,
    pub(super) advice: Vec<String>,
}

/// The longest name of a host: a label of DNS (RFC 1123).
const LABEL: usize = 63;
const NAME: usize = 253;

impl Reader<'_> {
    pub(super) fn refuse<T>(&mut self, at: &KeyPath, problem: impl Display) -> Option<T> {
        self.errors.push(self.source.error(at, problem.to_string()));
        None
    }

    pub(super) fn warn(&mut self, at: &KeyPath, problem: impl Display) {
        let error = self.source.error(at, problem.to_string());
        self.warnings.push(error.to_string());
    }

    /// What is said to who asks, and not with every command.
    pub(super) fn advise(&mut self, at: &KeyPath, problem: impl Display) {
        let error = self.source.error(at, problem.to_string());
        self.advice.push(error.to_string());
    }

    /// Reads each of `texts`; the ones that are wrong are reported and left out.
    pub(super) fn each<T>(
        &mut self,
        texts: &[String],
        at: &KeyPath,
        mut read: impl FnMut(&mut Self, &str, &KeyPath) -> Option<T>,
    ) -> Vec<T> {
        let mut values = Vec::new();
        for (position, text) in texts.iter().enumerate() {
            values.extend(read(self, text, &at.index(position)));
        }
        values
    }

    pub(super) fn ip(&mut self, text: &str, at: &KeyPath) -> Option<IpAddr> {
        let Ok(address) = text.parse::<IpAddr>() else {
            return self
                .refuse(at, "is not an address; write it like \"192.168.220.100\"");
        };
        if address.is_unspecified() || address.is_multicast() || address.is_loopback() {
            return self.refuse(
                at,
                "is no address of a host: unspecified, loopback and multicast ones are not",
            );
        }
        let IpAddr::V6(six) = address else {
            return Some(address);
        };
        if six.is_unicast_link_local() {
            let problem = "is of one link alone, and says not of which; write a global address, \
                           or one of fd00::/8";
            return self.refuse(at, problem);
        }
        if let Some(four) = six.to_ipv4_mapped() {
            let problem =
                format!("is an IPv4 address in clothes of IPv6; write \"{four}\"");
            return self.refuse(at, problem);
        }
        Some(address)
    }

    /// A network whose address has no bit of a host.
    pub(super) fn network(&mut self, text: &str, at: &KeyPath) -> Option<IpNet> {
        let Ok(network) = text.parse::<IpNet>() else {
            return self.refuse(at, "is not a network; write it like \"10.254.0.0/16\"");
        };
        if network.addr() != network.network() {
            let right = network.trunc();
            return self.refuse(
                at,
                format!("has bits of a host below its prefix; write \"{right}\""),
            );
        }
        Some(network)
    }

    /// A DNS name in lower case without a dot at its end.
    pub(super) fn dns_name(&mut self, text: &str, at: &KeyPath) -> Option<String> {
        if let Some(name) = text.strip_suffix('.') {
            return self.refuse(
                at,
                format!(
                    "ends with a dot, which would be part of every name; write \"{name}\""
                ),
            );
        }
        if text.chars().any(|c| c.is_ascii_uppercase()) {
            let lower = text.to_ascii_lowercase();
            return self.refuse(
                at,
                format!("has upper-case letters, which node names cannot have; write \"{lower}\""),
            );
        }
        let good = text.len() <= NAME && text.split('.').all(is_label);
        if !good {
            return self.refuse(
                at,
                "is not a DNS name; allowed: labels of a-z, 0-9 and inner dashes, with dots between",
            );
        }
        Some(text.to_owned())
    }
}

fn is_label(label: &str) -> bool {
    let allowed = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-';
    !label.is_empty()
        && label.len() <= LABEL
        && label.chars().all(allowed)
        && !label.starts_with('-')
        && !label.ends_with('-')
}
