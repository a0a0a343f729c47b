//! What a frontend makes of a ClientHello. Decides; reads nothing.

use std::time::Duration;

use super::{Flaw, Hello, read};
use crate::config::Switch;

/// What a frontend wants to hear.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rules {
    /// Whether a client without a ClientHello is turned away.
    pub only: Switch,
    /// How long it has for its ClientHello.
    pub timeout: Duration,
    /// Where clients go by what they ask for; the first that fits.
    pub routes: Vec<Route>,
}

/// Clients that go elsewhere: those that meet all that is said here.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Route {
    /// They ask for one of these names; empty: for any or none.
    pub names: Vec<Pattern>,
    /// They offer one of these protocols; empty: any or none.
    pub alpn: Vec<Box<str>>,
}

/// A name, or all names below one: `*.example.org` fits `a.example.org`, not `example.org` and
/// not `a.b.example.org`, as in certificates (RFC 6125, section 6.4.3).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Pattern(Box<str>);

/// What becomes of a client.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// It has said no ClientHello in its time.
    Silent,
    /// What it says is none.
    Not(Flaw),
    /// It goes where no route leads elsewhere.
    Default,
    /// It goes by this route.
    Route(usize),
}

impl Rules {
    /// Whether a client without a ClientHello is turned away.
    #[must_use]
    pub fn is_strict(&self) -> bool {
        self.only == Switch::On
    }

    /// What becomes of a client that begins with these bytes.
    #[must_use]
    pub fn judge(&self, bytes: &[u8]) -> Verdict {
        match read(bytes) {
            Err(flaw) => Verdict::Not(flaw),
            Ok(None) => Verdict::Silent,
            Ok(Some(hello)) => {
                let route = self.routes.iter().position(|route| route.fits(&hello));
                route.map_or(Verdict::Default, Verdict::Route)
            }
        }
    }
}

impl Route {
    fn fits(&self, hello: &Hello) -> bool {
        let name = hello.server_name.as_deref();
        let asks = |pattern: &Pattern| name.is_some_and(|name| pattern.fits(name));
        let offers = |alpn: &str| hello.alpn.iter().any(|a| **a == *alpn.as_bytes());
        (self.names.is_empty() || self.names.iter().any(asks))
            && (self.alpn.is_empty() || self.alpn.iter().any(|a| offers(a)))
    }
}

impl Pattern {
    /// A name, or `*.` and a name; `None` when the text is neither.
    #[must_use]
    pub fn new(text: &str) -> Option<Self> {
        let name = text.strip_prefix("*.").unwrap_or(text);
        super::body::dns_name(name.as_bytes()).ok()?;
        Some(Self(text.to_ascii_lowercase().into()))
    }

    fn fits(&self, name: &str) -> bool {
        match self.0.strip_prefix("*.") {
            None => *self.0 == *name,
            Some(above) => {
                let below = name.split_once('.');
                below.is_some_and(|(_, rest)| rest == above)
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::hello::Version;

    fn hello(name: Option<&str>, alpn: &[&str]) -> Hello {
        Hello {
            server_name: name.map(Into::into),
            alpn: alpn.iter().map(|a| a.as_bytes().into()).collect(),
            version: Version::Tls13,
            len: 0,
        }
    }

    #[test]
    fn which_clients_a_route_takes() {
        for (names, alpn, hello, expected) in [
            (&[][..], &[][..], hello(None, &[]), true),
            (&["a.example"], &[], hello(Some("a.example"), &[]), true),
            (&["A.Example"], &[], hello(Some("a.example"), &[]), true),
            (&["a.example"], &[], hello(Some("b.example"), &[]), false),
            (&["a.example"], &[], hello(None, &[]), false),
            (&["b.x", "*.y"], &[], hello(Some("a.y"), &[]), true),
            (&["*.y"], &[], hello(Some("y"), &[]), false),
            (&["*.y"], &[], hello(Some("a.b.y"), &[]), false),
            (&[], &["h2"], hello(None, &["http/1.1", "h2"]), true),
            (&[], &["h2"], hello(None, &["http/1.1"]), false),
            (&["a.x"], &["h2"], hello(Some("a.x"), &[]), false),
        ] {
            let route = Route {
                names: names.iter().map(|n| Pattern::new(n).unwrap()).collect(),
                alpn: alpn.iter().map(|a| (*a).into()).collect(),
            };
            assert_eq!(route.fits(&hello), expected, "{names:?} {alpn:?} {hello:?}");
        }
        for text in ["", "*", "*.", "a..b", "a.*.b", "a b"] {
            assert_eq!(Pattern::new(text), None, "{text}");
        }
    }

    #[test]
    fn the_first_route_that_fits() {
        let route = |name: &str| Route {
            names: Pattern::new(name).into_iter().collect(),
            alpn: vec![],
        };
        let rules = Rules {
            only: Switch::On,
            timeout: Duration::ZERO,
            routes: vec![route("b.example"), route("*.example"), route("k8s.example")],
        };
        let curl = include_bytes!("corpus/curl.bin");
        assert_eq!(rules.judge(curl), Verdict::Route(1));
        assert_eq!(rules.judge(b"GET /"), Verdict::Not(Flaw::NotTls));
        let kubectl = include_bytes!("corpus/kubectl.bin");
        assert_eq!(rules.judge(kubectl), Verdict::Default);
    }
}
