//! The first thing a TLS client says, read and never answered: RFC 8446, section 4.1.2.
//!
//! [`extent`] says how many bytes the ClientHello takes and is cheap enough for every new
//! connection; [`read`] also says what stands in it. Both take bytes from strangers: whatever
//! is not exactly as the RFC has it is named in a [`Flaw`], and nothing panics.

mod body;
mod cursor;
mod rules;

use std::fmt;

pub use body::Version;
pub use rules::{Pattern, Route, Rules, Verdict};

/// The largest ClientHello that is waited for, record headers included. With post-quantum key
/// shares and a long session ticket one is some 4 KiB.
pub const MAX: usize = 16 * 1024;

const RECORD_HEAD: usize = 5;
/// RFC 8446, section 5.1: the largest fragment of a plaintext record.
const MAX_FRAGMENT: usize = 1 << 14;
const HANDSHAKE_HEAD: usize = 4;
const CONTENT_HANDSHAKE: u8 = 22;
const MAJOR: u8 = 3;
const CLIENT_HELLO: u8 = 1;

/// How far the bytes of a client are a ClientHello.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Extent {
    /// So far they are the beginning of one.
    More,
    /// It takes this many bytes; others may follow.
    Whole(usize),
    /// They are none.
    Not(Flaw),
}

/// What stands in a ClientHello.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Hello {
    /// The name the client wants to speak to, in lower case.
    pub server_name: Option<Box<str>>,
    /// The protocols it offers, best first.
    pub alpn: Vec<Box<[u8]>>,
    /// The newest version it offers.
    pub version: Version,
    /// The bytes it takes, record headers included.
    pub len: usize,
}

/// Why bytes are no ClientHello.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Flaw {
    /// The first byte is no TLS handshake record's: plain HTTP, a scanner, another protocol.
    NotTls,
    /// A handshake, but the client does not begin with a ClientHello.
    NotHello,
    /// A record that is empty or longer than a record may be.
    Record,
    /// Longer than [`MAX`].
    TooLong,
    /// A length that reaches beyond what holds it, or bytes that belong to nothing.
    Length,
    /// An extension that stands twice.
    Twice,
    /// A server name that is no DNS name.
    Name,
    /// A list of protocols with an empty one, or none.
    Alpn,
    /// No version that is TLS 1.0 or newer.
    Version,
}

impl Flaw {
    /// Every flaw.
    pub const ALL: [Self; 9] = [
        Self::NotTls,
        Self::NotHello,
        Self::Record,
        Self::TooLong,
        Self::Length,
        Self::Twice,
        Self::Name,
        Self::Alpn,
        Self::Version,
    ];
}

impl fmt::Display for Flaw {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::NotTls => "not TLS",
            Self::NotHello => "not a ClientHello",
            Self::Record => "a record of a wrong length",
            Self::TooLong => "a ClientHello that is too long",
            Self::Length => "a ClientHello with a wrong length in it",
            Self::Twice => "a ClientHello with an extension twice",
            Self::Name => "a ClientHello with a name that is none",
            Self::Alpn => "a ClientHello with a wrong list of protocols",
            Self::Version => "a ClientHello without a version",
        })
    }
}

/// How far `bytes` are a ClientHello. Looks at headers alone.
#[must_use]
pub fn extent(bytes: &[u8]) -> Extent {
    let mut records = Records { rest: bytes };
    let (mut head, mut seen, mut needed) = ([0; HANDSHAKE_HEAD], 0, usize::MAX);
    let mut ends_with_a_record = false;
    while seen < needed {
        let fragment = match records.next() {
            Ok(Some(fragment)) => fragment,
            Ok(None) if bytes.len() >= MAX => return Extent::Not(Flaw::TooLong),
            Ok(None) => return Extent::More,
            Err(flaw) => return Extent::Not(flaw),
        };
        for (place, byte) in head.iter_mut().skip(seen).zip(fragment.here) {
            *place = *byte;
        }
        seen += fragment.here.len();
        ends_with_a_record = fragment.is_whole;
        if seen > 0 && head[0] != CLIENT_HELLO {
            return Extent::Not(Flaw::NotHello);
        }
        if seen >= HANDSHAKE_HEAD {
            let [_, high, middle, low] = head;
            needed = HANDSHAKE_HEAD + u32::from_be_bytes([0, high, middle, low]) as usize;
        }
        if needed != usize::MAX && needed > MAX {
            return Extent::Not(Flaw::TooLong);
        }
        if seen < needed && !fragment.is_whole {
            return Extent::More;
        }
    }
    // A record that goes on behind the hello holds a message that no client sends there.
    // Its head says so, whether its bytes are here yet or not.
    if seen > needed || !ends_with_a_record {
        return Extent::Not(Flaw::Length);
    }
    Extent::Whole(bytes.len() - records.rest.len())
}

/// What stands in the ClientHello that `bytes` begin with; `None` while it is not whole.
///
/// # Errors
/// When it is none, or not as RFC 8446 has it.
pub fn read(bytes: &[u8]) -> Result<Option<Hello>, Flaw> {
    let len = match extent(bytes) {
        Extent::More => return Ok(None),
        Extent::Whole(len) => len,
        Extent::Not(flaw) => return Err(flaw),
    };
    let mut records = Records {
        rest: bytes.get(..len).unwrap_or_default(),
    };
    let mut message = Vec::with_capacity(len);
    while let Some(fragment) = records.next()? {
        message.extend_from_slice(fragment.here);
    }
    let body = message.get(HANDSHAKE_HEAD..).unwrap_or_default();
    body::read(body, len).map(Some)
}

/// The handshake records of a client, one after the other.
struct Records<'a> {
    rest: &'a [u8],
}

/// What of one record is there.
struct Fragment<'a> {
    here: &'a [u8],
    is_whole: bool,
}

impl<'a> Records<'a> {
    /// The next one; `None` when its head is not whole yet.
    fn next(&mut self) -> Result<Option<Fragment<'a>>, Flaw> {
        if self.rest.first().is_some_and(|t| *t != CONTENT_HANDSHAKE)
            || self.rest.get(1).is_some_and(|major| *major != MAJOR)
        {
            return Err(Flaw::NotTls);
        }
        let Some((&[_, _, _, high, low], rest)) =
            self.rest.split_first_chunk::<RECORD_HEAD>()
        else {
            return Ok(None);
        };
        let len = usize::from(u16::from_be_bytes([high, low]));
        if len == 0 || len > MAX_FRAGMENT {
            return Err(Flaw::Record);
        }
        let is_whole = rest.len() >= len;
        let (here, rest) = rest.split_at(len.min(rest.len()));
        self.rest = rest;
        Ok(Some(Fragment { here, is_whole }))
    }
}

#[cfg(test)]
mod tests;
