//! Whether a request that changes something comes by a way, and from a page, that may.

use std::net::{IpAddr, Ipv4Addr};

use hyper::HeaderMap;
use hyper::header::{HOST, HeaderName, ORIGIN};

use crate::admin::route::Door;

/// How a request came.
#[derive(Debug, Clone, Copy)]
pub(super) struct Way {
    pub(super) door: Door,
    pub(super) source: Option<IpAddr>,
}

/// Why one is turned away.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(super) enum Refusal {
    #[error("nobody can sign in: admin.passwordFile is not set")]
    NoPasswords,
    #[error(
        "only over TLS (admin.tls) or from this host itself: a password in clear text is everybody's"
    )]
    Clear,
    #[error(
        "ask for it by an address of this host or as localhost: another site may have led you here"
    )]
    Host,
    #[error("it does not come from a page of this server")]
    Origin,
    #[error("the token of the session is missing or another one; load the page again")]
    Token,
}

impl Refusal {
    /// The word in the log.
    pub(super) const fn name(self) -> &'static str {
        match self {
            Self::NoPasswords => "noPasswords",
            Self::Clear => "clearText",
            Self::Host => "host",
            Self::Origin => "origin",
            Self::Token => "token",
        }
    }
}

const FETCH_SITE: HeaderName = HeaderName::from_static("sec-fetch-site");

impl Way {
    /// Who asks; this host, where there is no address.
    pub(super) fn address(self) -> IpAddr {
        self.source.unwrap_or(IpAddr::V4(Ipv4Addr::LOCALHOST))
    }

    /// The name of the cookie. The prefix binds it to TLS and to this very host.
    pub(super) fn cookie(self) -> &'static str {
        match self.door {
            Door::Tls => "__Host-session",
            Door::Tcp | Door::Socket => "session",
        }
    }

    /// Whether nobody on the way can read along, and the name leads nowhere else.
    pub(super) fn is_private(self, headers: &HeaderMap) -> Result<(), Refusal> {
        match self.door {
            // A browser has seen a certificate for the name.
            Door::Tls => Ok(()),
            Door::Socket => Err(Refusal::Clear),
            Door::Tcp if !self.address().is_loopback() || self.source.is_none() => {
                Err(Refusal::Clear)
            }
            // A name of another site may lead to loopback (DNS rebinding).
            Door::Tcp if is_local(text(headers, &HOST)) => Ok(()),
            Door::Tcp => Err(Refusal::Host),
        }
    }

    /// Whether it may change something, as far as its headers tell.
    pub(super) fn passes(self, headers: &HeaderMap) -> Result<(), Refusal> {
        self.is_private(headers)?;
        let scheme = match self.door {
            Door::Tls => "https",
            Door::Tcp | Door::Socket => "http",
        };
        let host = text(headers, &HOST);
        let is_own = text(headers, &ORIGIN) == format!("{scheme}://{host}");
        let site = headers.get(FETCH_SITE).map(|site| site.as_bytes());
        let is_same = site.is_none_or(|site| site == b"same-origin");
        if !host.is_empty() && is_own && is_same {
            Ok(())
        } else {
            Err(Refusal::Origin)
        }
    }
}

fn text<'h>(headers: &'h HeaderMap, name: &HeaderName) -> &'h str {
    let value = headers.get(name).and_then(|value| value.to_str().ok());
    value.unwrap_or_default()
}

/// An address, or `localhost`, with or without a port.
fn is_local(host: &str) -> bool {
    let name = match host.strip_prefix('[') {
        Some(rest) => rest.split(']').next().unwrap_or_default(),
        None => host.split(':').next().unwrap_or_default(),
    };
    name == "localhost" || name.parse::<IpAddr>().is_ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Door, source, Host, Origin, Sec-Fetch-Site (`-`: absent), and what is said.
    const WAYS: &str = "
        tcp here  127.0.0.1:9000    http://127.0.0.1:9000    -           passes
        tcp here  127.0.0.1:9000    http://127.0.0.1:9000    same-origin passes
        tcp here  localhost:9000    http://localhost:9000    -           passes
        tcp here  [::1]:9000        http://[::1]:9000        -           passes
        tcp there 127.0.0.1:9000    http://127.0.0.1:9000    -           clearText
        tcp -     127.0.0.1:9000    http://127.0.0.1:9000    -           clearText
        unix -    127.0.0.1:9000    http://127.0.0.1:9000    -           clearText
        tcp here  evil.example:9000 http://evil.example:9000 -           host
        tcp here  127.0.0.1:9000    http://evil.example      -           origin
        tcp here  127.0.0.1:9000    null                     -           origin
        tcp here  127.0.0.1:9000    -                        -           origin
        tcp here  127.0.0.1:9000    https://127.0.0.1:9000   -           origin
        tcp here  127.0.0.1:9000    http://127.0.0.1:9000    cross-site  origin
        tcp here  127.0.0.1:9000    http://127.0.0.1:9000    same-site   origin
        tcp here  -                 http://                  -           host
        tls there lb.example:9443   https://lb.example:9443  -           passes
        tls there lb.example:9443   http://lb.example:9443   -           origin
        tls there -                 https://                 -           origin";

    #[test]
    fn who_passes() {
        let rows = WAYS.lines().filter(|row| !row.is_empty());
        for row in rows {
            let words: Vec<&str> = row.split_whitespace().collect();
            let [door, source, host, origin, site, expected] = words[..] else {
                panic!("{row}");
            };
            let door = match door {
                "tcp" => Door::Tcp,
                "tls" => Door::Tls,
                _ => Door::Socket,
            };
            let source = match source {
                "here" => Some(IpAddr::from([127, 0, 0, 1])),
                "there" => Some(IpAddr::from([10, 0, 0, 9])),
                _ => None,
            };
            let mut headers = HeaderMap::new();
            for (name, value) in [(HOST, host), (ORIGIN, origin), (FETCH_SITE, site)] {
                if value != "-" {
                    headers.insert(name, value.parse().unwrap());
                }
            }
            let said = Way { door, source }.passes(&headers);
            let said = said.map_or_else(Refusal::name, |()| "passes");
            assert_eq!(said, expected, "{row}");
        }
    }
}
