//! What is asked, and of whom.

use std::fmt;
use std::net::{IpAddr, SocketAddr};
use std::ops::RangeInclusive;
use std::str::FromStr;

use hyper::Uri;
use hyper::header::{
    CONNECTION, CONTENT_LENGTH, HOST, HeaderName, HeaderValue, TRANSFER_ENCODING,
    USER_AGENT,
};
use thiserror::Error;

use crate::Tls;

/// What a check does. Cheap to clone: TLS configuration is shared.
#[derive(Clone, Debug)]
pub enum Check {
    /// A connection opens. Nothing is sent, so a TLS server logs an early end.
    Tcp,
    /// A TLS handshake completes and the certificate is trusted.
    Tls(Tls),
    /// A plain HTTP/1.1 `GET` gets an allowed status.
    Http(Http),
    /// An HTTP/1.1 `GET` over TLS gets an allowed status.
    Https(Https),
}

/// A `GET` of one path.
#[derive(Clone, Debug)]
pub struct Http {
    pub(crate) path: Uri,
    pub(crate) host: Option<String>,
    pub(crate) headers: Vec<(HeaderName, HeaderValue)>,
    pub(crate) body: Option<Box<str>>,
    pub(crate) statuses: Statuses,
}

impl Http {
    /// Asks for `path` (with its query, if any) and allows 200 to 399.
    ///
    /// # Errors
    /// When `path` does not begin with `/` or is no valid request target.
    pub fn new(path: &str) -> Result<Self, RequestError> {
        if !path.starts_with('/') {
            return Err(RequestError::Path(path.to_owned()));
        }
        let uri = path
            .parse()
            .map_err(|_| RequestError::Path(path.to_owned()))?;
        Ok(Self {
            path: uri,
            host: None,
            headers: Vec::new(),
            body: None,
            statuses: Statuses::default(),
        })
    }

    /// Sends this header, too. A secret one is not shown by `Debug`.
    ///
    /// # Errors
    /// When the name or the value cannot stand in a header, or the name is one that the
    /// check itself sends.
    pub fn with_header(
        mut self,
        name: &str,
        value: &str,
        secrecy: Secrecy,
    ) -> Result<Self, RequestError> {
        let refused = || RequestError::Header(name.to_owned());
        let name = HeaderName::try_from(name).map_err(|_| refused())?;
        if [
            HOST,
            USER_AGENT,
            CONNECTION,
            CONTENT_LENGTH,
            TRANSFER_ENCODING,
        ]
        .contains(&name)
        {
            return Err(refused());
        }
        let mut value = HeaderValue::try_from(value).map_err(|_| refused())?;
        value.set_sensitive(secrecy == Secrecy::Secret);
        self.headers.push((name, value));
        Ok(self)
    }

    /// Passes only when the body holds this text.
    #[must_use]
    pub fn with_body(mut self, text: &str) -> Self {
        self.body = Some(text.into());
        self
    }

    /// Sends this `Host` instead of the server's address and port.
    ///
    /// # Errors
    /// When `host` cannot stand in a header.
    pub fn with_host(mut self, host: &str) -> Result<Self, RequestError> {
        let valid =
            hyper::header::HeaderValue::from_str(host).is_ok() && !host.is_empty();
        if !valid {
            return Err(RequestError::Host(host.to_owned()));
        }
        self.host = Some(host.to_owned());
        Ok(self)
    }

    /// Allows these statuses instead of 200 to 399.
    #[must_use]
    pub fn with_statuses(mut self, statuses: Statuses) -> Self {
        self.statuses = statuses;
        self
    }
}

/// Whether a header's value is for everybody's eyes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Secrecy {
    /// It may be shown.
    Open,
    /// It is a token or the like.
    Secret,
}

/// A `GET` of one path over TLS.
#[derive(Clone, Debug)]
pub struct Https {
    /// The handshake: trust, server name, client certificate.
    pub tls: Tls,
    /// The request.
    pub http: Http,
}

/// Why a request cannot be made.
#[derive(Debug, Error, PartialEq, Eq)]
pub enum RequestError {
    /// The path does not begin with `/`, or holds what a request line may not.
    #[error("{0:?} is not a path; write one that begins with a slash, such as /readyz")]
    Path(String),
    /// The header cannot be sent, or the check sends one of that name itself.
    #[error("{0:?} cannot be sent as a header")]
    Header(String),
    /// The host is empty or holds what a header may not.
    #[error("{0:?} cannot be sent as Host")]
    Host(String),
}

/// The status codes that let a check pass. 200 to 399 unless told otherwise, as in
/// haproxy's `httpchk` and in the kubelet's probes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Statuses(Vec<RangeInclusive<u16>>);

impl Statuses {
    /// Whether `status` lets a check pass.
    #[must_use]
    pub fn allow(&self, status: u16) -> bool {
        self.0.iter().any(|range| range.contains(&status))
    }
}

impl Default for Statuses {
    fn default() -> Self {
        Self(vec![200..=399])
    }
}

/// Why a text is no set of statuses.
#[derive(Debug, Error, PartialEq, Eq)]
#[error("{0:?} is no status or range of statuses; write such as 200, 200-399 or 200,404")]
pub struct StatusesError(String);

impl FromStr for Statuses {
    type Err = StatusesError;

    /// Reads `200`, `200-399` or a list of such, parted by commas.
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let ranges: Result<Vec<_>, _> = text.split(',').map(range).collect();
        ranges.map(Self)
    }
}

impl fmt::Display for Statuses {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (position, range) in self.0.iter().enumerate() {
            let comma = if position == 0 { "" } else { "," };
            write!(f, "{comma}{}", range.start())?;
            if range.start() != range.end() {
                write!(f, "-{}", range.end())?;
            }
        }
        Ok(())
    }
}

fn range(text: &str) -> Result<RangeInclusive<u16>, StatusesError> {
    let (first, last) = text.split_once('-').unwrap_or((text, text));
    match (status(first), status(last)) {
        (Some(first), Some(last)) if first <= last => Ok(first..=last),
        _ => Err(StatusesError(text.to_owned())),
    }
}

fn status(text: &str) -> Option<u16> {
    text.trim()
        .parse()
        .ok()
        .filter(|status| (100..=599).contains(status))
}

/// Who is asked, and from where.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Target {
    /// The server's address and port.
    pub address: SocketAddr,
    /// The local address to ask from; the kernel's choice when absent.
    pub source: Option<IpAddr>,
}

impl From<SocketAddr> for Target {
    fn from(address: SocketAddr) -> Self {
        Self {
            address,
            source: None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn statuses_as_haproxy_and_the_kubelet_have_them() {
        let statuses = Statuses::default();
        for (status, allowed) in [
            (199, false),
            (200, true),
            (399, true),
            (400, false),
            (503, false),
        ] {
            assert_eq!(statuses.allow(status), allowed, "{status}");
        }
    }

    #[test]
    fn statuses_read_and_write_alike() {
        for text in ["200", "200-399", "200-299,404"] {
            assert_eq!(text.parse::<Statuses>().unwrap().to_string(), text);
        }
        let statuses: Statuses = "200-201, 404".parse().unwrap();
        assert!(statuses.allow(201) && statuses.allow(404) && !statuses.allow(202));
    }

    #[test]
    fn refuses_what_is_no_status() {
        for text in ["", "ok", "99", "600", "300-200", "200-", "200,,201", "-200"] {
            assert!(text.parse::<Statuses>().is_err(), "{text}");
        }
    }

    #[test]
    fn a_request_is_refused_before_it_is_made() {
        let path = |text: &str| Http::new(text).map(|_| ());
        assert_eq!(path("/readyz?verbose"), Ok(()));
        for text in ["", "readyz", "/a b", "http://x/", "/\r\nX: y"] {
            assert_eq!(path(text), Err(RequestError::Path(text.to_owned())));
        }
        let host = |text: &str| Http::new("/").unwrap().with_host(text).map(|_| ());
        assert_eq!(host("k8s.example"), Ok(()));
        assert_eq!(host("a\nb"), Err(RequestError::Host("a\nb".to_owned())));
        assert_eq!(host(""), Err(RequestError::Host(String::new())));
        let header = |name: &str, value: &str| {
            let http = Http::new("/").unwrap();
            http.with_header(name, value, Secrecy::Open).is_ok()
        };
        assert!(header("X-Check", "api-lb"));
        for (name, value) in [("", "a"), ("a b", "a"), ("a", "b\nc"), ("Host", "a")] {
            assert!(!header(name, value), "{name:?} {value:?}");
        }
        let secret = Http::new("/").unwrap();
        let secret = secret.with_header("Authorization", "Bearer abc", Secrecy::Secret);
        assert!(!format!("{secret:?}").contains("abc"));
    }
}
