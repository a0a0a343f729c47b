//! New RSA keys. ring signs with them and cannot make them; `docs/decisions/rsa-keys.md` says
//! who does, and why.

use graviola::signing::rsa::{KeySize, SigningKey};
use rcgen::KeyPair;

use crate::IssueError;

/// Octets that PKCS #8 takes for a key of 2048 bits, and some to spare: nine numbers of at
/// most 256 octets each, most of them of half.
const PKCS8: usize = 2048;

/// Makes a key of 2048 bits.
pub(crate) fn generate() -> Result<KeyPair, IssueError> {
    if !runs_here() {
        return Err(IssueError::Processor);
    }
    let key = SigningKey::generate(KeySize::Rsa2048).map_err(|_| IssueError::Random)?;
    let mut octets = [0; PKCS8];
    let pkcs8 = key
        .to_pkcs8_der(&mut octets)
        .map_err(|_| IssueError::Random)?;
    let pair = KeyPair::try_from(pkcs8).map_err(IssueError::Key);
    octets.fill(0);
    pair
}

/// Whether this processor has the instructions: the library would end the process.
#[cfg(target_arch = "x86_64")]
fn runs_here() -> bool {
    use std::arch::is_x86_feature_detected as has;
    let vectors = has!("avx") && has!("avx2") && has!("ssse3");
    vectors
        && has!("aes")
        && has!("pclmulqdq")
        && has!("bmi1")
        && has!("bmi2")
        && has!("adx")
}

/// Whether this processor has the instructions: the library would end the process.
#[cfg(target_arch = "aarch64")]
fn runs_here() -> bool {
    use std::arch::is_aarch64_feature_detected as has;
    has!("neon") && has!("aes") && has!("pmull") && has!("sha2")
}
