//! Keys and what is issued for them, as PEM texts that do not show themselves.

use std::fmt;
use std::str::FromStr;

use rcgen::{KeyPair, PKCS_ECDSA_P256_SHA256};
use thiserror::Error;
use x509_parser::pem::parse_x509_pem;
use x509_parser::public_key::PublicKey as Parsed;

use crate::{IssueError, rsa};

/// What new keys are.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum KeyKind {
    /// ECDSA on P-256: small, and made at once.
    #[default]
    P256,
    /// RSA of 2048 bits, for clients that know nothing else.
    Rsa2048,
}

/// Why a text is no kind of keys.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[error("is no kind of keys that are made here; allowed: ECDSA-P256, RSA-2048")]
pub struct KeyKindError;

impl KeyKind {
    /// All of them.
    pub const ALL: [Self; 2] = [Self::P256, Self::Rsa2048];

    /// As kubeadm writes it.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::P256 => "ECDSA-P256",
            Self::Rsa2048 => "RSA-2048",
        }
    }

    /// That of a certificate in PEM form; nothing for one that is not made here, or cannot
    /// be read.
    #[must_use]
    pub fn of_certificate(pem: &str) -> Option<Self> {
        let (_, block) = parse_x509_pem(pem.as_bytes()).ok()?;
        let certificate = block.parse_x509().ok()?;
        match certificate.public_key().parsed().ok()? {
            Parsed::RSA(key) => (key.key_size() == 2048).then_some(Self::Rsa2048),
            Parsed::EC(point) => (point.key_size() == 256).then_some(Self::P256),
            Parsed::DSA(_)
            | Parsed::GostR3410(_)
            | Parsed::GostR3410_2012(_)
            | Parsed::Unknown(_) => None,
        }
    }
}

impl FromStr for KeyKind {
    type Err = KeyKindError;

    fn from_str(text: &str) -> Result<Self, KeyKindError> {
        let mut all = Self::ALL.into_iter();
        all.find(|kind| kind.name() == text).ok_or(KeyKindError)
    }
}

impl fmt::Display for KeyKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// A private key as PKCS #8 in PEM form (`PRIVATE KEY`). `Debug` shows nothing of it.
#[derive(Clone, PartialEq, Eq)]
pub struct PrivatePem(String);

impl PrivatePem {
    pub(crate) fn of(key: &KeyPair) -> Self {
        Self(key.serialize_pem())
    }

    /// The text, for a file or a TLS configuration; never for a log.
    #[must_use]
    pub fn expose(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for PrivatePem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("PrivatePem(..)")
    }
}

/// A certificate and its key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Issued {
    /// The certificate in PEM form.
    pub certificate_pem: String,
    /// Its private key.
    pub key_pem: PrivatePem,
}

/// The key pair that service-account tokens are signed and verified with.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ServiceAccountKey {
    /// The private key (`PRIVATE KEY`, PKCS #8), for the signer: `sa.key`.
    pub private_pem: PrivatePem,
    /// The public key (`PUBLIC KEY`, SubjectPublicKeyInfo), for all others: `sa.pub`.
    pub public_pem: String,
}

impl ServiceAccountKey {
    /// Makes a new pair, on P-256.
    ///
    /// # Errors
    /// When the machine gives no randomness.
    pub fn generate() -> Result<Self, IssueError> {
        Self::of_kind(KeyKind::P256)
    }

    /// Makes a new pair.
    ///
    /// # Errors
    /// When the machine gives no randomness, or cannot make such keys.
    pub fn of_kind(kind: KeyKind) -> Result<Self, IssueError> {
        let key = generate(kind)?;
        Ok(Self {
            private_pem: PrivatePem::of(&key),
            public_pem: key.public_key_pem(),
        })
    }
}

pub(crate) fn generate(kind: KeyKind) -> Result<KeyPair, IssueError> {
    match kind {
        KeyKind::P256 => {
            KeyPair::generate_for(&PKCS_ECDSA_P256_SHA256).map_err(IssueError::Key)
        }
        KeyKind::Rsa2048 => rsa::generate(),
    }
}

#[cfg(test)]
mod tests {
    use std::time::SystemTime;

    use super::*;
    use crate::{Authority, Profile};

    #[test]
    fn each_kind_is_known_by_its_name_and_in_a_certificate() {
        let now = SystemTime::now();
        let authority = Authority::new("ca", now).unwrap();
        for kind in KeyKind::ALL {
            assert_eq!(kind.name().parse(), Ok(kind));
            let profile = Profile::client("a", &[]);
            let issued = authority.issue_of_kind(&profile, kind, now).unwrap();
            assert_eq!(KeyKind::of_certificate(&issued.certificate_pem), Some(kind));
        }
        assert_eq!("rsa".parse::<KeyKind>(), Err(KeyKindError));
        assert_eq!(KeyKind::of_certificate("none"), None);
    }
}
