//! What messages are made of: who speaks, in which run, about which handover, and the key
//! that all nodes share.

use std::fmt;

use ring::hmac;

/// Octets of a name at most.
pub const NAME: usize = 32;

/// One run of a daemon: random, never 0.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Boot(pub u64);

/// What makes an answer new.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Nonce(pub [u8; 16]);

/// One handover.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Id(pub u64);

/// The name of a node: 1 to 32 octets of `a-z A-Z 0-9 - _ .`.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Name(String);

impl Name {
    /// Checks the text.
    #[must_use]
    pub fn new(text: &str) -> Option<Self> {
        let allowed = |c: char| c.is_ascii_alphanumeric() || "-_.".contains(c);
        let good = (1..=NAME).contains(&text.len()) && text.chars().all(allowed);
        good.then(|| Self(text.to_owned()))
    }

    /// The text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// The key that all nodes share.
#[derive(Clone)]
pub struct Key {
    octets: Vec<u8>,
    pub(super) hmac: hmac::Key,
}

/// Octets of a key at least: as many as its hash has.
pub const KEY: usize = 32;

impl Key {
    /// From the octets of the key's file.
    #[must_use]
    pub fn new(octets: &[u8]) -> Option<Self> {
        (octets.len() >= KEY).then(|| Self {
            octets: octets.to_vec(),
            hmac: hmac::Key::new(hmac::HMAC_SHA256, octets),
        })
    }
}

impl PartialEq for Key {
    fn eq(&self, other: &Self) -> bool {
        self.octets == other.octets
    }
}

impl Eq for Key {}

impl fmt::Debug for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Key(…)")
    }
}
