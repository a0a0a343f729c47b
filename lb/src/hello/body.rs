//! The body of a ClientHello: RFC 8446, section 4.1.2, and the three extensions that a
//! balancer looks at.

use super::cursor::Cursor;
use super::{Flaw, Hello};

const RANDOM: usize = 32;
const MAX_SESSION: usize = 32;
/// RFC 6066, section 3.
const SERVER_NAME: u16 = 0;
const HOST_NAME: u8 = 0;
/// RFC 7301, section 3.1.
const ALPN: u16 = 16;
/// RFC 8446, section 4.2.1.
const SUPPORTED_VERSIONS: u16 = 43;
/// RFC 1035, section 2.3.4.
const MAX_NAME: usize = 253;
const MAX_LABEL: usize = 63;
/// TLS 1.0, and beyond the newest: values between are versions of TLS; others (GREASE,
/// RFC 8701, and drafts) are passed over.
const OLDEST: u16 = 0x0301;
const NEWEST: u16 = 0x0304;

/// A version of TLS.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Version {
    /// TLS 1.0.
    Tls10,
    /// TLS 1.1.
    Tls11,
    /// TLS 1.2.
    Tls12,
    /// TLS 1.3.
    Tls13,
}

impl Version {
    const fn of(code: u16) -> Option<Self> {
        match code {
            OLDEST => Some(Self::Tls10),
            0x0302 => Some(Self::Tls11),
            0x0303 => Some(Self::Tls12),
            NEWEST => Some(Self::Tls13),
            _ => None,
        }
    }
}

/// Reads a body; its message takes `len` bytes with all headers.
pub(super) fn read(body: &[u8], len: usize) -> Result<Hello, Flaw> {
    let mut body = Cursor(body);
    let legacy = body.u16()?;
    body.take(RANDOM)?;
    if body.vector8()?.0.len() > MAX_SESSION {
        return Err(Flaw::Length);
    }
    let suites = body.vector16()?;
    if suites.is_empty() || !suites.0.len().is_multiple_of(2) {
        return Err(Flaw::Length);
    }
    if body.vector8()?.is_empty() {
        return Err(Flaw::Length);
    }
    let mut hello = Hello {
        server_name: None,
        alpn: Vec::new(),
        // TLS 1.3 is offered in an extension alone.
        version: Version::of(legacy)
            .map(|version| version.min(Version::Tls12))
            .ok_or(Flaw::Version)?,
        len,
    };
    // A client of TLS 1.2 and older may send none at all.
    if body.is_empty() {
        return Ok(hello);
    }
    let mut extensions = body.vector16()?;
    body.end()?;
    let mut seen = Vec::new();
    while !extensions.is_empty() {
        let kind = extensions.u16()?;
        let value = extensions.vector16()?;
        if seen.contains(&kind) {
            return Err(Flaw::Twice);
        }
        seen.push(kind);
        match kind {
            SERVER_NAME => hello.server_name = server_name(value)?,
            ALPN => hello.alpn = alpn(value)?,
            SUPPORTED_VERSIONS => hello.version = version(value)?,
            _ => {}
        }
    }
    Ok(hello)
}

fn server_name(mut value: Cursor<'_>) -> Result<Option<Box<str>>, Flaw> {
    let mut names = value.vector16()?;
    value.end()?;
    let mut found = None;
    while !names.is_empty() {
        let kind = names.u8()?;
        let name = names.vector16()?;
        // RFC 6066: not more than one name of a kind.
        if kind == HOST_NAME && found.replace(name.0).is_some() {
            return Err(Flaw::Name);
        }
    }
    found.map(dns_name).transpose()
}

pub(super) fn dns_name(bytes: &[u8]) -> Result<Box<str>, Flaw> {
    let name = std::str::from_utf8(bytes).map_err(|_| Flaw::Name)?;
    let fits = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_');
    let is_label = |label: &str| {
        !label.is_empty() && label.len() <= MAX_LABEL && label.chars().all(fits)
    };
    if name.len() > MAX_NAME || !name.split('.').all(is_label) {
        return Err(Flaw::Name);
    }
    Ok(name.to_ascii_lowercase().into())
}

fn alpn(mut value: Cursor<'_>) -> Result<Vec<Box<[u8]>>, Flaw> {
    let mut names = value.vector16()?;
    value.end()?;
    let mut found = Vec::new();
    while !names.is_empty() {
        let name = names.vector8()?;
        if name.is_empty() {
            return Err(Flaw::Alpn);
        }
        found.push(name.0.into());
    }
    if found.is_empty() {
        return Err(Flaw::Alpn);
    }
    Ok(found)
}

fn version(mut value: Cursor<'_>) -> Result<Version, Flaw> {
    let mut versions = value.vector8()?;
    value.end()?;
    let mut newest = None;
    while !versions.is_empty() {
        newest = newest.max(Version::of(versions.u16()?));
    }
    newest.ok_or(Flaw::Version)
}
