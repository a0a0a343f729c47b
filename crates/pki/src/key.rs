//! Keys and what is issued for them, as PEM texts that do not show themselves.

use std::fmt;

use rcgen::{KeyPair, PKCS_ECDSA_P256_SHA256};

use crate::IssueError;

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
    /// Makes a new pair.
    ///
    /// # Errors
    /// When the machine gives no randomness.
    pub fn generate() -> Result<Self, IssueError> {
        let key = generate()?;
        Ok(Self {
            private_pem: PrivatePem::of(&key),
            public_pem: key.public_key_pem(),
        })
    }
}

pub(crate) fn generate() -> Result<KeyPair, IssueError> {
    KeyPair::generate_for(&PKCS_ECDSA_P256_SHA256).map_err(IssueError::Key)
}
