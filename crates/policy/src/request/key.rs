//! The public key (SubjectPublicKeyInfo, RFC 5280, 4.1.2.7).

use std::fmt;

use super::der::{Reader, Tag, bad};
use super::{Unreadable, oid};

/// A public key; the bytes as ring takes them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Key {
    /// ECDSA on P-256: the uncompressed point.
    P256(Vec<u8>),
    /// ECDSA on P-384: the uncompressed point.
    P384(Vec<u8>),
    /// RSA.
    Rsa {
        /// The modulus, without leading zeros.
        modulus: Vec<u8>,
        /// The public exponent, without leading zeros.
        exponent: Vec<u8>,
    },
    /// Anything else, by its algorithm and curve.
    Other(String),
}

/// An uncompressed point begins with this (SEC 1, 2.3.3).
const UNCOMPRESSED: u8 = 4;
const P256_POINT: usize = 65;
const P384_POINT: usize = 97;

impl Key {
    /// SEQUENCE { algorithm SEQUENCE { oid, parameters }, subjectPublicKey BIT STRING }
    pub(super) fn read(bytes: &[u8]) -> Result<Self, Unreadable> {
        let mut info = Reader::new(bytes).sequence("public key")?;
        let mut algorithm = info.sequence("key algorithm")?;
        let bits = info.bit_string("public key")?;
        info.end("public key")?;
        let kind = algorithm.oid("key algorithm")?;
        match kind.as_str() {
            oid::RSA => {
                if !algorithm.take(Tag::NULL, "key parameters")?.is_empty() {
                    return Err(bad("key parameters", "are not empty"));
                }
                algorithm.end("key algorithm")?;
                rsa(bits)
            }
            oid::EC => {
                let curve = algorithm.oid("curve")?;
                algorithm.end("key algorithm")?;
                on_curve(&curve, bits)
            }
            _ => Ok(Self::Other(kind)),
        }
    }

    /// Bits of the modulus; zero for what is not RSA.
    #[must_use]
    pub fn modulus_bits(&self) -> u32 {
        let Self::Rsa { modulus, .. } = self else {
            return 0;
        };
        let Some(first) = modulus.first() else {
            return 0;
        };
        let octets = u32::try_from(modulus.len()).unwrap_or(u32::MAX / 8);
        octets
            .saturating_mul(8)
            .saturating_sub(first.leading_zeros())
    }
}

fn on_curve(curve: &str, point: &[u8]) -> Result<Key, Unreadable> {
    let fits =
        |length: usize| point.len() == length && point.first() == Some(&UNCOMPRESSED);
    match curve {
        oid::P256 if fits(P256_POINT) => Ok(Key::P256(point.to_vec())),
        oid::P384 if fits(P384_POINT) => Ok(Key::P384(point.to_vec())),
        oid::P256 | oid::P384 => Err(bad("public key", "is no uncompressed point")),
        other => Ok(Key::Other(format!("curve {other}"))),
    }
}

/// RSAPublicKey ::= SEQUENCE { modulus, publicExponent } (RFC 8017, A.1.1)
fn rsa(bits: &[u8]) -> Result<Key, Unreadable> {
    let mut outer = Reader::new(bits);
    let mut fields = outer.sequence("RSA key")?;
    outer.end("RSA key")?;
    let modulus = fields.positive("modulus")?.to_vec();
    let exponent = fields.positive("exponent")?.to_vec();
    fields.end("RSA key")?;
    Ok(Key::Rsa { modulus, exponent })
}

impl fmt::Display for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::P256(_) => f.write_str("P-256"),
            Self::P384(_) => f.write_str("P-384"),
            Self::Rsa { .. } => write!(f, "RSA with {} bits", self.modulus_bits()),
            Self::Other(kind) => f.write_str(kind),
        }
    }
}
