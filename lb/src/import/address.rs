//! Addresses as the peers write them: `*:6443`, `:::6443`, `m1.example.com:6443`, `:443`.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// Where something listens or is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Host {
    /// All addresses of both families where the peer does so, else of IPv4.
    Any,
    /// One address.
    Ip(IpAddr),
    /// A name that has to be looked up.
    Name(String),
}

/// A host with the ports that were written after it, as written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Place {
    pub(super) host: Host,
    pub(super) port: Option<String>,
}

/// Splits `text` at its last colon; an IPv6 address may stand in brackets, or bare with
/// its port behind the last colon, as haproxy has it.
pub(super) fn place(text: &str) -> Option<Place> {
    if let Some(rest) = text.strip_prefix('[') {
        let (inside, rest) = rest.split_once(']')?;
        let host = Host::Ip(IpAddr::V6(inside.parse().ok()?));
        let port = rest.strip_prefix(':').map(str::to_owned);
        return (rest.is_empty() || port.is_some()).then_some(Place { host, port });
    }
    if text.parse::<IpAddr>().is_ok() && !text.contains(':') {
        return Some(Place {
            host: host(text)?,
            port: None,
        });
    }
    match text.rsplit_once(':') {
        Some((before, port)) => Some(Place {
            host: host(before)?,
            port: Some(port.to_owned()),
        }),
        None => Some(Place {
            host: host(text)?,
            port: None,
        }),
    }
}

fn host(text: &str) -> Option<Host> {
    let is_name = |text: &str| {
        let fits = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '-' | '_');
        text.chars().all(fits)
    };
    match text {
        "" | "*" => Some(Host::Any),
        "::" => Some(Host::Ip(IpAddr::V6(Ipv6Addr::UNSPECIFIED))),
        "0.0.0.0" => Some(Host::Ip(IpAddr::V4(Ipv4Addr::UNSPECIFIED))),
        text => match text.parse() {
            Ok(ip) => Some(Host::Ip(ip)),
            Err(_) if is_name(text) => Some(Host::Name(text.to_owned())),
            Err(_) => None,
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_way_of_writing() {
        let ip = |text: &str| Host::Ip(text.parse().unwrap());
        for (text, expected) in [
            ("*:6443", Some((Host::Any, Some("6443")))),
            (":443", Some((Host::Any, Some("443")))),
            (":::6443", Some((ip("::"), Some("6443")))),
            ("[::1]:6443", Some((ip("::1"), Some("6443")))),
            ("[::1]", Some((ip("::1"), None))),
            ("10.0.0.1", Some((ip("10.0.0.1"), None))),
            ("10.0.0.1:1-9", Some((ip("10.0.0.1"), Some("1-9")))),
            (
                "m1.example.com:6443",
                Some((Host::Name("m1.example.com".into()), Some("6443"))),
            ),
            ("m1", Some((Host::Name("m1".into()), None))),
            ("${HOST}:6443", None),
            ("[::1", None),
            ("[::1]x", None),
        ] {
            let got = place(text).map(|place| (place.host, place.port));
            let expected = expected.map(|(host, port)| (host, port.map(str::to_owned)));
            assert_eq!(got, expected, "{text}");
        }
    }
}
