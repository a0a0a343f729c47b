//! Whether a request is signed with the key it carries (RFC 2986, 4.2).

use ring::signature::{
    self, ECDSA_P256_SHA256_ASN1, ECDSA_P256_SHA384_ASN1, ECDSA_P384_SHA256_ASN1,
    ECDSA_P384_SHA384_ASN1, EcdsaVerificationAlgorithm, RSA_PKCS1_2048_8192_SHA256,
    RSA_PKCS1_2048_8192_SHA384, RSA_PKCS1_2048_8192_SHA512, RsaParameters,
    RsaPublicKeyComponents, UnparsedPublicKey,
};

use super::der::{Reader, Tag, bad};
use super::{Key, Unreadable, oid};

/// Whether a request proves that its author has the key.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SelfSignature {
    /// It does.
    Valid,
    /// It does not, or is made in a way kubelets do not use.
    Invalid,
}

/// AlgorithmIdentifier: NULL parameters for RSA (RFC 8017, A.2.4), none for ECDSA (RFC
/// 5758, 3.2).
pub(super) struct Algorithm(String);

impl Algorithm {
    pub(super) fn read(request: &mut Reader<'_>) -> Result<Self, Unreadable> {
        let mut fields = request.sequence("signature algorithm")?;
        let kind = fields.oid("signature algorithm")?;
        let null = fields.optional(Tag::NULL, "signature parameters")?;
        let fits = match kind.as_str() {
            oid::RSA_SHA256 | oid::RSA_SHA384 | oid::RSA_SHA512 => null == Some(&[]),
            oid::ECDSA_SHA256 | oid::ECDSA_SHA384 => null.is_none(),
            // Not used by any key that is allowed; its parameters are its own.
            _ => return Ok(Self(kind)),
        };
        if !fits || !fields.is_empty() {
            return Err(bad(
                "signature parameters",
                "are not those of the algorithm",
            ));
        }
        Ok(Self(kind))
    }
}

/// Checks `signature` over `signed`.
pub(super) fn check(
    key: &Key,
    algorithm: &Algorithm,
    signed: &[u8],
    signature: &[u8],
) -> SelfSignature {
    let valid = match key {
        Key::P256(point) => {
            let how =
                by_hash(algorithm, &ECDSA_P256_SHA256_ASN1, &ECDSA_P256_SHA384_ASN1);
            ecdsa(how, point, signed, signature)
        }
        Key::P384(point) => {
            let how =
                by_hash(algorithm, &ECDSA_P384_SHA256_ASN1, &ECDSA_P384_SHA384_ASN1);
            ecdsa(how, point, signed, signature)
        }
        Key::Rsa { modulus, exponent } => {
            let public = RsaPublicKeyComponents {
                n: modulus,
                e: exponent,
            };
            rsa(algorithm)
                .is_some_and(|how| public.verify(how, signed, signature).is_ok())
        }
        Key::Other(_) => false,
    };
    if valid {
        SelfSignature::Valid
    } else {
        SelfSignature::Invalid
    }
}

type Ecdsa = &'static EcdsaVerificationAlgorithm;

fn by_hash(algorithm: &Algorithm, sha256: Ecdsa, sha384: Ecdsa) -> Option<Ecdsa> {
    match algorithm.0.as_str() {
        oid::ECDSA_SHA256 => Some(sha256),
        oid::ECDSA_SHA384 => Some(sha384),
        _ => None,
    }
}

fn ecdsa(how: Option<Ecdsa>, point: &[u8], signed: &[u8], signature: &[u8]) -> bool {
    let Some(how) = how else { return false };
    let how: &dyn signature::VerificationAlgorithm = how;
    UnparsedPublicKey::new(how, point)
        .verify(signed, signature)
        .is_ok()
}

fn rsa(algorithm: &Algorithm) -> Option<&'static RsaParameters> {
    match algorithm.0.as_str() {
        oid::RSA_SHA256 => Some(&RSA_PKCS1_2048_8192_SHA256),
        oid::RSA_SHA384 => Some(&RSA_PKCS1_2048_8192_SHA384),
        oid::RSA_SHA512 => Some(&RSA_PKCS1_2048_8192_SHA512),
        _ => None,
    }
}
