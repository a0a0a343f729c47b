//! Somebody else's public key: what a certificate is asked for with.

use rcgen::{
    PKCS_ECDSA_P256_SHA256, PKCS_ECDSA_P384_SHA384, PKCS_RSA_SHA256, PublicKeyData,
    SignatureAlgorithm,
};

use crate::der;

/// A public key as it stands in a certificate (RFC 5280, section 4.1.2.7).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PublicKey {
    kind: Kind,
    bits: Vec<u8>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    P256,
    P384,
    Rsa,
}

impl PublicKey {
    /// ECDSA on P-256, by its uncompressed point.
    #[must_use]
    pub fn p256(point: &[u8]) -> Self {
        Self {
            kind: Kind::P256,
            bits: point.to_vec(),
        }
    }

    /// ECDSA on P-384, by its uncompressed point.
    #[must_use]
    pub fn p384(point: &[u8]) -> Self {
        Self {
            kind: Kind::P384,
            bits: point.to_vec(),
        }
    }

    /// RSA (RFC 8017, A.1.1), by big-endian numbers without leading zeros.
    #[must_use]
    pub fn rsa(modulus: &[u8], exponent: &[u8]) -> Self {
        let mut fields = der::positive(modulus);
        fields.extend(der::positive(exponent));
        Self {
            kind: Kind::Rsa,
            bits: der::value(der::SEQUENCE, &fields),
        }
    }
}

impl PublicKeyData for PublicKey {
    fn der_bytes(&self) -> &[u8] {
        &self.bits
    }

    fn algorithm(&self) -> &'static SignatureAlgorithm {
        match self.kind {
            Kind::P256 => &PKCS_ECDSA_P256_SHA256,
            Kind::P384 => &PKCS_ECDSA_P384_SHA384,
            Kind::Rsa => &PKCS_RSA_SHA256,
        }
    }
}
