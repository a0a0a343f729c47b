//! Whether a key is a certificate's own, or that of a public key.

use rcgen::PublicKeyData;
use x509_parser::pem::{Pem, parse_x509_pem};

use crate::adopt::read_key;

/// Whether the private key in `key_pem` is the one whose public part stands in the first
/// certificate of `certificate_pem`, in any form that an authority's may have. What cannot be
/// read does not fit.
#[must_use]
pub fn key_fits(certificate_pem: &str, key_pem: &str) -> bool {
    let Ok((_, block)) = parse_x509_pem(certificate_pem.as_bytes()) else {
        return false;
    };
    let Ok(certificate) = block.parse_x509() else {
        return false;
    };
    read_key(key_pem)
        .is_ok_and(|key| key.subject_public_key_info() == certificate.public_key().raw)
}

/// Whether the private key in `key_pem` is that of none of the keys in `public_pem`. That is
/// said only where all of them can be read: API servers know more kinds than are read here.
#[must_use]
pub fn is_anothers(public_pem: &str, key_pem: &str) -> bool {
    let Ok(key) = read_key(key_pem) else {
        return false;
    };
    let own = key.subject_public_key_info();
    let all: Result<Vec<_>, _> = Pem::iter_from_buffer(public_pem.as_bytes()).collect();
    let all = all.unwrap_or_default();
    let other = |one: &Pem| one.label == "PUBLIC KEY" && one.contents != own;
    !all.is_empty() && all.iter().all(other)
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

    /// Whoever changes keys has the old one checked still.
    #[test]
    fn a_pair_is_held_against_each_public_key() {
        let make = || crate::ServiceAccountKey::generate().unwrap();
        let (one, other) = (make(), make());
        let key = one.private_pem.expose();
        assert!(!is_anothers(&one.public_pem, key));
        assert!(is_anothers(&other.public_pem, key));
        let both = format!("{}{}", other.public_pem, one.public_pem);
        assert!(!is_anothers(&both, key));
        // An older form, and a key of a kind that is not read here: nobody can say.
        let older = other.public_pem.replace("PUBLIC KEY", "RSA PUBLIC KEY");
        assert!(!is_anothers(&older, key));
        assert!(!is_anothers(&other.public_pem, "no key"));
        assert!(!is_anothers("no key", key));
    }
}
