//! Whether a key is a certificate's own.

use rcgen::{KeyPair, PublicKeyData};
use x509_parser::pem::parse_x509_pem;

/// Whether the private key in `key_pem` is the one whose public part stands in the first
/// certificate of `certificate_pem`. What cannot be read does not fit.
#[must_use]
pub fn key_fits(certificate_pem: &str, key_pem: &str) -> bool {
    let Ok((_, block)) = parse_x509_pem(certificate_pem.as_bytes()) else {
        return false;
    };
    let Ok(certificate) = block.parse_x509() else {
        return false;
    };
    KeyPair::from_pem(key_pem)
        .is_ok_and(|key| key.subject_public_key_info() == certificate.public_key().raw)
}

#[cfg(test)]
mod tests {
    use std::time::SystemTime;

    use super::*;
    use crate::{Authority, Profile};

    #[test]
    fn only_its_own_key_fits() {
        let now = SystemTime::now();
        let authority = Authority::new("ca", now).unwrap();
        let issue = || authority.issue(&Profile::client("a", &[]), now).unwrap();
        let (one, other) = (issue(), issue());
        assert!(key_fits(&one.certificate_pem, one.key_pem.expose()));
        assert!(!key_fits(&one.certificate_pem, other.key_pem.expose()));
        assert!(!key_fits(&one.certificate_pem, "no key"));
        assert!(!key_fits("no certificate", one.key_pem.expose()));
        assert!(key_fits(
            authority.certificate_pem(),
            authority.key_pem().expose()
        ));
    }
}
