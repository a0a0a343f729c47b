//! Keys of every kind that a case names, and their signatures.
//!
//! EC and Ed25519 keys are new each time. RSA keys take long to make, so a few are kept
//! in `keys/rsa.json`; their signatures are computed here, since ring signs with nothing
//! shorter than 2048 bits.

use std::collections::BTreeMap;

use num_bigint::BigUint;
use ring::digest::{SHA256, digest};
use ring::rand::SystemRandom;
use ring::signature::{
    ECDSA_P256_SHA256_ASN1_SIGNING, ECDSA_P384_SHA384_ASN1_SIGNING, EcdsaKeyPair,
    Ed25519KeyPair, KeyPair,
};
use serde::Deserialize;

use super::ForgeError;
use super::der::{bit_string, integer, null, oid, sequence};

/// The names of all kinds.
pub(super) const KINDS: [&str; 7] = [
    "p256", "p384", "ed25519", "rsa1024", "rsa2048", "rsa3072", "rsa4096",
];

const RSA: &[u64] = &[1, 2, 840, 113_549, 1, 1, 1];
const RSA_SHA256: &[u64] = &[1, 2, 840, 113_549, 1, 1, 11];
const EC: &[u64] = &[1, 2, 840, 10_045, 2, 1];
const P256: &[u64] = &[1, 2, 840, 10_045, 3, 1, 7];
const P384: &[u64] = &[1, 3, 132, 0, 34];
const ECDSA_SHA256: &[u64] = &[1, 2, 840, 10_045, 4, 3, 2];
const ECDSA_SHA384: &[u64] = &[1, 2, 840, 10_045, 4, 3, 3];
const ED25519: &[u64] = &[1, 3, 101, 112];
/// 65537.
const EXPONENT: [u8; 3] = [1, 0, 1];
/// DigestInfo of SHA-256 up to the digest (RFC 8017, 9.2, note 1).
const SHA256_INFO: [u8; 19] = [
    0x30, 0x31, 0x30, 0x0d, 0x06, 0x09, 0x60, 0x86, 0x48, 0x01, 0x65, 0x03, 0x04, 0x02,
    0x01, 0x05, 0x00, 0x04, 0x20,
];
const KEPT: &str = include_str!("../../keys/rsa.json");

/// A key pair.
#[derive(Debug)]
pub enum Signer {
    /// ECDSA, by curve.
    Ec(&'static [u64], EcdsaKeyPair),
    /// Ed25519.
    Ed25519(Ed25519KeyPair),
    /// RSA.
    Rsa(Rsa),
}

/// An RSA key.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Rsa {
    modulus: String,
    private_exponent: String,
}

impl Signer {
    /// A key of that kind.
    ///
    /// # Errors
    /// The kind is not known, or the machine gives no randomness.
    pub fn new(kind: &str) -> Result<Self, ForgeError> {
        match kind {
            "p256" => ec(P256, &ECDSA_P256_SHA256_ASN1_SIGNING),
            "p384" => ec(P384, &ECDSA_P384_SHA384_ASN1_SIGNING),
            "ed25519" => {
                let pkcs8 = Ed25519KeyPair::generate_pkcs8(&SystemRandom::new())
                    .map_err(|_| ForgeError::NoKey)?;
                let pair = Ed25519KeyPair::from_pkcs8(pkcs8.as_ref());
                pair.map(Self::Ed25519).map_err(|_| ForgeError::NoKey)
            }
            _ => {
                let mut kept: BTreeMap<String, Rsa> =
                    serde_json::from_str(KEPT).map_err(|_| ForgeError::NoKey)?;
                let key = kept.remove(kind).map(Self::Rsa);
                key.ok_or_else(|| ForgeError::Key(kind.to_owned()))
            }
        }
    }

    pub(super) fn public_key_info(&self) -> Vec<u8> {
        match self {
            Self::Ec(curve, pair) => sequence(&[
                sequence(&[oid(EC), oid(curve)]),
                bit_string(pair.public_key().as_ref()),
            ]),
            Self::Ed25519(pair) => sequence(&[
                sequence(&[oid(ED25519)]),
                bit_string(pair.public_key().as_ref()),
            ]),
            Self::Rsa(key) => {
                let modulus = number(&key.modulus).to_bytes_be();
                let public = sequence(&[integer(&modulus), integer(&EXPONENT)]);
                sequence(&[sequence(&[oid(RSA), null()]), bit_string(&public)])
            }
        }
    }

    pub(super) fn algorithm(&self) -> Vec<u8> {
        match self {
            Self::Ec(curve, _) if *curve == P384 => sequence(&[oid(ECDSA_SHA384)]),
            Self::Ec(..) => sequence(&[oid(ECDSA_SHA256)]),
            Self::Ed25519(_) => sequence(&[oid(ED25519)]),
            Self::Rsa(_) => sequence(&[oid(RSA_SHA256), null()]),
        }
    }

    pub(super) fn sign(&self, message: &[u8]) -> Result<Vec<u8>, ForgeError> {
        match self {
            Self::Ec(_, pair) => {
                let signature = pair.sign(&SystemRandom::new(), message);
                let signature = signature.map_err(|_| ForgeError::NoKey)?;
                Ok(signature.as_ref().to_vec())
            }
            Self::Ed25519(pair) => Ok(pair.sign(message).as_ref().to_vec()),
            Self::Rsa(key) => Ok(key.sign(message)),
        }
    }
}

fn ec(
    curve: &'static [u64],
    how: &'static ring::signature::EcdsaSigningAlgorithm,
) -> Result<Signer, ForgeError> {
    let random = SystemRandom::new();
    let pkcs8 =
        EcdsaKeyPair::generate_pkcs8(how, &random).map_err(|_| ForgeError::NoKey)?;
    let pair = EcdsaKeyPair::from_pkcs8(how, pkcs8.as_ref(), &random);
    pair.map(|pair| Signer::Ec(curve, pair))
        .map_err(|_| ForgeError::NoKey)
}

fn number(hexadecimal: &str) -> BigUint {
    BigUint::parse_bytes(hexadecimal.as_bytes(), 16).unwrap_or_default()
}

impl Rsa {
    /// RSASSA-PKCS1-v1_5 (RFC 8017, 8.2.1).
    fn sign(&self, message: &[u8]) -> Vec<u8> {
        let modulus = number(&self.modulus);
        let length = modulus.to_bytes_be().len();
        let info = [&SHA256_INFO[..], digest(&SHA256, message).as_ref()].concat();
        let padding = vec![0xff; length.saturating_sub(info.len() + 3)];
        let encoded = [&[0, 1][..], &padding, &[0], &info].concat();
        let signature = BigUint::from_bytes_be(&encoded)
            .modpow(&number(&self.private_exponent), &modulus)
            .to_bytes_be();
        let missing = vec![0; length.saturating_sub(signature.len())];
        [missing, signature].concat()
    }
}
