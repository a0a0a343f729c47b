//! The messages as bytes: version 1.
//!
//! ```text
//!  0        4    5     6         8              16               24        32
//! +--------+----+-----+---------+--------------+----------------+---------+-----------
//! | "SPVC" | 1  |kind | length  | sender's boot| receiver's boot| counter | from, to,
//! +--------+----+-----+---------+--------------+----------------+---------+-----------
//!   body, HMAC-SHA256 (32 octets) of everything before it
//! ```
//! Numbers in network order; `length` is that of the whole message. Names are an octet of
//! length and 1 to 32 octets. A receiver ignores no octet: what is left over is an error.

use std::net::IpAddr;

use ring::hmac;

use super::Group;
pub use super::terms::{Boot, Id, KEY, Key, NAME, Name, Nonce};

const MAGIC: [u8; 4] = *b"SPVC";
const VERSION: u8 = 1;
const MAC: usize = 32;
const FIXED: usize = 32;

/// The longest message: a Hello about 32 routers with IPv6 addresses.
pub const LONGEST: usize = 1024;

/// Routers that one Hello tells of, counted by their names.
pub const ROUTERS: usize = 32;

/// A message.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Message {
    /// The sender's run.
    pub boot: Boot,
    /// The receiver's run as the sender knows it.
    pub to_boot: Option<Boot>,
    /// Grows with each message of a run.
    pub counter: u64,
    /// Who sends.
    pub from: Name,
    /// To whom.
    pub to: Name,
    /// What is said.
    pub body: Body,
}

/// What is said.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Body {
    /// How the sender's routers stand.
    Hello(Vec<Standing>),
    /// Prove that you are there at this moment.
    Challenge(Nonce),
    /// The answer to it.
    Proof(Nonce),
    /// Will you take this group's addresses?
    Offer(Id, Group),
    /// Yes.
    Accept(Id),
    /// No.
    Refuse(Id),
    /// They are let go of: take them.
    Go(Id),
    /// They are taken.
    Taken(Id),
}

/// How one router of the sender stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Standing {
    /// Which group it is in.
    pub group: Group,
    /// Its priority.
    pub priority: u8,
    /// Whether it would take the addresses.
    pub ready: Ready,
}

/// Whether a router would take the addresses.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ready {
    /// A Backup that nothing keeps out.
    Yes,
    /// Active already, at fault, or told to stay out.
    No,
}

/// Why octets are no message.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum ParseError {
    /// Not from one of our daemons.
    #[error("not of this protocol")]
    Magic,
    /// From another version of it.
    #[error("of version {0}")]
    Version(u8),
    /// Cut, or longer than it says.
    #[error("of another length than it says")]
    Length,
    /// Another key, or changed on the way.
    #[error("not authentic")]
    Mac,
    /// Authentic and yet not of the form.
    #[error("malformed")]
    Form,
}

impl Body {
    fn kind(&self) -> u8 {
        match self {
            Self::Hello(_) => 1,
            Self::Challenge(_) => 2,
            Self::Proof(_) => 3,
            Self::Offer(..) => 4,
            Self::Accept(_) => 5,
            Self::Refuse(_) => 6,
            Self::Go(_) => 7,
            Self::Taken(_) => 8,
        }
    }

    fn emit(&self, octets: &mut Vec<u8>) {
        match self {
            Self::Hello(routers) => {
                for router in routers.iter().take(ROUTERS) {
                    emit_group(&router.group, octets);
                    let ready = match router.ready {
                        Ready::Yes => 1,
                        Ready::No => 0,
                    };
                    octets.extend([router.priority, ready]);
                }
            }
            Self::Challenge(nonce) | Self::Proof(nonce) => octets.extend(nonce.0),
            Self::Offer(id, group) => {
                octets.extend(id.0.to_be_bytes());
                emit_group(group, octets);
            }
            Self::Accept(id) | Self::Refuse(id) | Self::Go(id) | Self::Taken(id) => {
                octets.extend(id.0.to_be_bytes());
            }
        }
    }

    fn parse(kind: u8, reader: &mut Reader<'_>) -> Option<Self> {
        Some(match kind {
            1 => {
                let mut routers = Vec::new();
                while !reader.0.is_empty() && routers.len() < ROUTERS {
                    routers.push(parse_standing(reader)?);
                }
                Self::Hello(routers)
            }
            2 => Self::Challenge(Nonce(reader.take()?)),
            3 => Self::Proof(Nonce(reader.take()?)),
            4 => Self::Offer(reader.id()?, parse_group(reader)?),
            5 => Self::Accept(reader.id()?),
            6 => Self::Refuse(reader.id()?),
            7 => Self::Go(reader.id()?),
            8 => Self::Taken(reader.id()?),
            _ => return None,
        })
    }
}

impl Message {
    /// As octets, with its MAC.
    #[must_use]
    pub fn emit(&self, key: &Key) -> Vec<u8> {
        let mut octets = Vec::with_capacity(LONGEST);
        octets.extend(MAGIC);
        octets.extend([VERSION, self.body.kind(), 0, 0]);
        octets.extend(self.boot.0.to_be_bytes());
        octets.extend(self.to_boot.map_or(0, |boot| boot.0).to_be_bytes());
        octets.extend(self.counter.to_be_bytes());
        for name in [&self.from, &self.to] {
            // A name has 32 octets at most.
            octets.push(u8::try_from(name.as_str().len()).unwrap_or(u8::MAX));
            octets.extend(name.as_str().as_bytes());
        }
        self.body.emit(&mut octets);
        let length = u16::try_from(octets.len() + MAC).unwrap_or(u16::MAX);
        if let Some(field) = octets.get_mut(6..8) {
            field.copy_from_slice(&length.to_be_bytes());
        }
        let mac = hmac::sign(&key.hmac, &octets);
        octets.extend(mac.as_ref());
        octets
    }

    /// From octets; what is not authentic is not looked into.
    ///
    /// # Errors
    /// [`ParseError`].
    pub fn parse(octets: &[u8], key: &Key) -> Result<Self, ParseError> {
        let mut reader = Reader(octets);
        if reader.take::<4>() != Some(MAGIC) {
            return Err(ParseError::Magic);
        }
        let [version, kind] = reader.take().ok_or(ParseError::Length)?;
        if version != VERSION {
            return Err(ParseError::Version(version));
        }
        let length = u16::from_be_bytes(reader.take().ok_or(ParseError::Length)?);
        if usize::from(length) != octets.len() || octets.len() < FIXED + MAC {
            return Err(ParseError::Length);
        }
        let at = octets.len() - MAC;
        let (signed, mac) = octets.split_at_checked(at).ok_or(ParseError::Length)?;
        hmac::verify(&key.hmac, signed, mac).map_err(|_| ParseError::Mac)?;
        let mut reader = Reader(signed.get(8..).unwrap_or_default());
        Self::fields(kind, &mut reader).ok_or(ParseError::Form)
    }

    fn fields(kind: u8, reader: &mut Reader<'_>) -> Option<Self> {
        let boot = Boot(u64::from_be_bytes(reader.take()?));
        let to_boot = u64::from_be_bytes(reader.take()?);
        let counter = u64::from_be_bytes(reader.take()?);
        let from = reader.name()?;
        let to = reader.name()?;
        let body = Body::parse(kind, reader)?;
        (reader.0.is_empty() && boot.0 != 0).then_some(Self {
            boot,
            to_boot: (to_boot != 0).then_some(Boot(to_boot)),
            counter,
            from,
            to,
            body,
        })
    }
}

struct Reader<'a>(&'a [u8]);

impl Reader<'_> {
    fn take<const N: usize>(&mut self) -> Option<[u8; N]> {
        let (head, rest) = self.0.split_first_chunk::<N>()?;
        self.0 = rest;
        Some(*head)
    }

    fn id(&mut self) -> Option<Id> {
        self.take().map(u64::from_be_bytes).map(Id)
    }

    fn name(&mut self) -> Option<Name> {
        let [length] = self.take()?;
        let (name, rest) = self.0.split_at_checked(length.into())?;
        self.0 = rest;
        Name::new(std::str::from_utf8(name).ok()?)
    }
}

/// The VRID, 4 or 6, and the address.
fn emit_group(group: &Group, octets: &mut Vec<u8>) {
    octets.push(group.vrid);
    match group.address {
        IpAddr::V4(address) => {
            octets.push(4);
            octets.extend(address.octets());
        }
        IpAddr::V6(address) => {
            octets.push(6);
            octets.extend(address.octets());
        }
    }
}

fn parse_group(reader: &mut Reader<'_>) -> Option<Group> {
    let [vrid, family] = reader.take()?;
    let address = match family {
        4 => IpAddr::from(reader.take::<4>()?),
        6 => IpAddr::from(reader.take::<16>()?),
        _ => return None,
    };
    Some(Group { vrid, address })
}

fn parse_standing(reader: &mut Reader<'_>) -> Option<Standing> {
    let group = parse_group(reader)?;
    let [priority, ready] = reader.take()?;
    let ready = match ready {
        0 => Ready::No,
        1 => Ready::Yes,
        _ => return None,
    };
    Some(Standing {
        group,
        priority,
        ready,
    })
}

#[cfg(test)]
mod tests;
