//! An authority whose key somebody else keeps: its certificate, and requests that its keeper
//! signs.

use std::time::SystemTime;

use crate::adopt::{
    between, check_authority, moment, parse, purposes, read_chain, read_key,
};
use crate::authority::fingerprint;
use crate::key::generate;
use crate::{AdoptError, IssueError, KeyKind, PrivatePem, Profile};

/// An authority by its certificate alone.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Anchor {
    not_before: SystemTime,
    not_after: SystemTime,
    fingerprint: String,
}

impl Anchor {
    /// Reads a certificate in PEM form, with its issuers behind it as for
    /// [`crate::Authority::from_pem`].
    ///
    /// # Errors
    /// When it is no authority's.
    pub fn from_pem(certificates: &str) -> Result<Self, AdoptError> {
        let chain = read_chain(certificates)?;
        let first = chain.first().ok_or(AdoptError::NoCertificate)?;
        let parsed = parse(first, 1)?;
        check_authority(&parsed)?;
        between(&chain)?;
        purposes(&parsed)?;
        Ok(Self {
            not_before: moment(parsed.validity().not_before.to_datetime()),
            not_after: moment(parsed.validity().not_after.to_datetime()),
            fingerprint: fingerprint(first),
        })
    }

    /// Whether it is valid at `now`.
    #[must_use]
    pub fn is_valid_at(&self, now: SystemTime) -> bool {
        self.not_before <= now && now < self.not_after
    }

    /// SHA-256 of its certificate, in hexadecimal.
    #[must_use]
    pub fn fingerprint(&self) -> &str {
        &self.fingerprint
    }
}

impl PrivatePem {
    /// Makes a new key.
    ///
    /// # Errors
    /// When the machine gives no randomness, or cannot make such keys.
    pub fn generate(kind: KeyKind) -> Result<Self, IssueError> {
        Ok(Self::of(&generate(kind)?))
    }
}

/// Why there is no request.
#[derive(Debug, thiserror::Error)]
pub enum RequestError {
    /// The key cannot be used.
    #[error(transparent)]
    Key(#[from] AdoptError),
    /// A name cannot stand in it.
    #[error(transparent)]
    Name(#[from] crate::NameError),
    /// It could not be signed.
    #[error("the request could not be signed")]
    Sign(#[source] rcgen::Error),
}

/// A request (PKCS #10, `CERTIFICATE REQUEST`) for what a profile says, signed with the key in
/// PEM form that it is for.
///
/// # Errors
/// When the key cannot sign, or a name cannot stand in a certificate.
pub fn request(profile: &Profile, key_pem: &str) -> Result<String, RequestError> {
    let key = read_key(key_pem)?;
    let mut params = profile.params()?;
    // Whoever signs writes that.
    params.use_authority_key_identifier_extension = false;
    let request = params.serialize_request(&key).map_err(RequestError::Sign)?;
    request.pem().map_err(RequestError::Sign)
}
