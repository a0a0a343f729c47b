//! An authority that is there already: its certificate and key, as others wrote them.

use std::time::SystemTime;

use rcgen::{CertificateParams, Issuer, KeyPair, PublicKeyData};
use rustls_pki_types::pem::PemObject;
use rustls_pki_types::{CertificateDer, PrivateKeyDer};
use thiserror::Error;
use time::OffsetDateTime;
use x509_parser::prelude::{FromDer, X509Certificate};

use crate::authority::fingerprint;
use crate::{Authority, Purpose, der};

/// Why an authority cannot be adopted.
#[derive(Debug, Error)]
pub enum AdoptError {
    /// There is no certificate.
    #[error("the certificate file holds no PEM block CERTIFICATE")]
    NoCertificate,
    /// A certificate cannot be read.
    #[error("certificate {0} of the file cannot be read")]
    CertificateInvalid(usize),
    /// It is a leaf.
    #[error(
        "the certificate is not an authority's: its basicConstraints do not say CA:TRUE"
    )]
    NotAnAuthority,
    /// It may not sign certificates.
    #[error("the authority may not sign certificates: its keyUsage lacks keyCertSign")]
    MayNotSign,
    /// It may have no subjects but these.
    #[error(
        "the authority's certificate has name constraints, which what is issued to nodes \
         is not checked against; use an authority without"
    )]
    Constrained,
    /// It may issue neither for servers nor for clients.
    #[error(
        "the authority may issue neither for servers nor for clients: its extendedKeyUsage \
         has neither serverAuth nor clientAuth"
    )]
    NoPurpose,
    /// Each certificate of the file is to be issued by the next one.
    #[error(
        "certificate {0} of the file did not issue the one before it; put the one that \
         signs first, then its issuer, and so on"
    )]
    ChainBroken(usize),
    /// There is no key.
    #[error(
        "the key file holds no unencrypted private key; it begins with BEGIN PRIVATE KEY, \
         BEGIN RSA PRIVATE KEY or BEGIN EC PRIVATE KEY"
    )]
    NoKey,
    /// The key is of a kind that cannot sign here.
    #[error(
        "the key cannot sign here; it can with ECDSA on P-256 or P-384, with Ed25519, and \
         with RSA of 2048 to 4096 bits"
    )]
    KeyNotSupported(#[source] rcgen::Error),
    /// An issuer is none by its own word.
    #[error(
        "certificate {0} may not issue certificates (its basicConstraints do not say CA:TRUE, \
         or its keyUsage lacks keyCertSign): nobody would believe what is issued"
    )]
    IssuerMayNotSign(usize),
    /// An issuer says that no such authority may stand below it.
    #[error(
        "certificate {0} lets no authority stand below it (its path length): nobody would \
         believe what is issued"
    )]
    TooDeep(usize),
    /// The key is another one's.
    #[error("the key is not that of the certificate")]
    KeyMismatch,
    /// What it issues would not name it as its issuer.
    #[error(
        "the authority's subject has a form that cannot be written into certificates as \
         it stands (two values of one kind, or in one part); use an intermediate whose \
         subject is a common name"
    )]
    SubjectNotCopied,
}

impl Authority {
    /// Adopts an authority by the PEM texts of its certificate and key. Certificates
    /// behind the first are its issuers, up to the root: all below the root go with
    /// what is issued.
    ///
    /// # Errors
    /// When these are not an authority's certificate and its key, or ring cannot sign
    /// with the key. Its time is not looked at: see [`Authority::is_valid_at`].
    pub fn from_pem(certificates: &str, key: &str) -> Result<Self, AdoptError> {
        let chain = read_chain(certificates)?;
        let first = chain.first().ok_or(AdoptError::NoCertificate)?;
        let parsed = parse(first, 1)?;
        check_authority(&parsed)?;
        let key = read_key(key)?;
        if key.subject_public_key_info() != parsed.public_key().raw {
            return Err(AdoptError::KeyMismatch);
        }
        // An empty part has no form that could be written.
        if parsed
            .subject()
            .iter_rdn()
            .any(|part| part.iter().next().is_none())
        {
            return Err(AdoptError::SubjectNotCopied);
        }
        let issuer = Issuer::from_ca_cert_der(first, key)
            .map_err(|_| AdoptError::SubjectNotCopied)?;
        let adopted = Self {
            certificate_pem: pem(first),
            issuers_pem: between(&chain)?,
            root_pem: chain.last().map(pem).unwrap_or_default(),
            has_key_identifier: has_key_identifier(&parsed),
            not_before: moment(parsed.validity().not_before.to_datetime()),
            not_after: moment(parsed.validity().not_after.to_datetime()),
            name: parsed.subject().to_string(),
            fingerprint: fingerprint(first),
            purposes: purposes(&parsed)?,
            issuer,
        };
        adopted.names_itself(parsed.subject().as_raw())?;
        Ok(adopted)
    }

    /// Whether the issuer in what it signs is its own subject, octet for octet: that is
    /// how verifiers find it.
    fn names_itself(&self, subject: &[u8]) -> Result<(), AdoptError> {
        let signed = CertificateParams::default()
            .signed_by(self.issuer.key(), &self.issuer)
            .map_err(AdoptError::KeyNotSupported)?;
        let (_, read) = X509Certificate::from_der(signed.der())
            .map_err(|_| AdoptError::SubjectNotCopied)?;
        if read.issuer().as_raw() == subject {
            Ok(())
        } else {
            Err(AdoptError::SubjectNotCopied)
        }
    }
}

pub(crate) fn read_chain(text: &str) -> Result<Vec<CertificateDer<'static>>, AdoptError> {
    let mut chain = Vec::new();
    for (place, found) in CertificateDer::pem_slice_iter(text.as_bytes()).enumerate() {
        chain.push(found.map_err(|_| AdoptError::CertificateInvalid(place + 1))?);
    }
    Ok(chain)
}

pub(crate) fn parse<'a>(
    certificate: &'a CertificateDer<'_>,
    place: usize,
) -> Result<X509Certificate<'a>, AdoptError> {
    match X509Certificate::from_der(certificate) {
        Ok(([], parsed)) => Ok(parsed),
        Ok(_) | Err(_) => Err(AdoptError::CertificateInvalid(place)),
    }
}

pub(crate) fn check_authority(
    certificate: &X509Certificate<'_>,
) -> Result<(), AdoptError> {
    if !certificate.is_ca() {
        return Err(AdoptError::NotAnAuthority);
    }
    let usage = certificate.key_usage();
    let usage = usage.map_err(|_| AdoptError::CertificateInvalid(1))?;
    if usage.is_some_and(|usage| !usage.value.key_cert_sign()) {
        return Err(AdoptError::MayNotSign);
    }
    match certificate.name_constraints() {
        Ok(None) => Ok(()),
        Ok(Some(_)) => Err(AdoptError::Constrained),
        Err(_) => Err(AdoptError::CertificateInvalid(1)),
    }
}

/// The issuers that go with what is issued, itself among them: without the root, which whoever verifies
/// has, or does not trust.
pub(crate) fn between(chain: &[CertificateDer<'_>]) -> Result<String, AdoptError> {
    let first = chain.first().ok_or(AdoptError::NoCertificate)?;
    let mut below = parse(first, 1)?;
    let mut issuers = String::new();
    if !is_root(&below) {
        issuers.push_str(&pem(first));
    }
    for (place, certificate) in chain.iter().enumerate().skip(1) {
        let parsed = parse(certificate, place + 1)?;
        let key = Some(parsed.public_key());
        if below.issuer().as_raw() != parsed.subject().as_raw()
            || below.verify_signature(key).is_err()
        {
            return Err(AdoptError::ChainBroken(place + 1));
        }
        if !may_sign(&parsed) {
            return Err(AdoptError::IssuerMayNotSign(place + 1));
        }
        if !allows_below(&parsed, place) {
            return Err(AdoptError::TooDeep(place + 1));
        }
        if !is_root(&parsed) {
            issuers.push_str(&pem(certificate));
        }
        below = parsed;
    }
    Ok(issuers)
}

/// Whether it is an authority's, and its key may sign certificates (RFC 5280, 6.1.4 k and n).
fn may_sign(certificate: &X509Certificate<'_>) -> bool {
    let usage = certificate.key_usage();
    certificate.is_ca()
        && usage.is_ok_and(|usage| usage.is_none_or(|usage| usage.value.key_cert_sign()))
}

/// Whether so many authorities may stand between it and a leaf (RFC 5280, 4.2.1.9).
fn allows_below(certificate: &X509Certificate<'_>, authorities: usize) -> bool {
    let Ok(Some(basic)) = certificate.basic_constraints() else {
        return false;
    };
    let most = basic.value.path_len_constraint;
    most.is_none_or(|most| usize::try_from(most).is_ok_and(|most| authorities <= most))
}

/// What it may issue for; empty for everything.
pub(crate) fn purposes(
    certificate: &X509Certificate<'_>,
) -> Result<Vec<Purpose>, AdoptError> {
    let usage = certificate.extended_key_usage();
    let usage = usage.map_err(|_| AdoptError::CertificateInvalid(1))?;
    let Some(usage) = usage.map(|found| found.value).filter(|found| !found.any) else {
        return Ok(Vec::new());
    };
    let purposes = [
        (usage.server_auth, Purpose::Server),
        (usage.client_auth, Purpose::Client),
    ];
    let purposes = purposes.into_iter().filter(|(allowed, _)| *allowed);
    let purposes: Vec<Purpose> = purposes.map(|(_, purpose)| purpose).collect();
    match purposes.is_empty() {
        true => Err(AdoptError::NoPurpose),
        false => Ok(purposes),
    }
}

fn is_root(certificate: &X509Certificate<'_>) -> bool {
    certificate.issuer().as_raw() == certificate.subject().as_raw()
}

fn has_key_identifier(certificate: &X509Certificate<'_>) -> bool {
    use x509_parser::oid_registry::OID_X509_EXT_SUBJECT_KEY_IDENTIFIER as IDENTIFIER;
    matches!(certificate.get_extension_unique(&IDENTIFIER), Ok(Some(_)))
}

pub(crate) fn moment(time: OffsetDateTime) -> SystemTime {
    time.into()
}

fn pem(certificate: &CertificateDer<'_>) -> String {
    crate::text::pem("CERTIFICATE", certificate)
}

/// A key as kubeadm (`RSA PRIVATE KEY`), cfssl and OpenSSL (`EC PRIVATE KEY`,
/// `PRIVATE KEY`) write it.
pub(crate) fn read_key(text: &str) -> Result<KeyPair, AdoptError> {
    let key = PrivateKeyDer::from_pem_slice(text.as_bytes());
    let pkcs8 = match key.map_err(|_| AdoptError::NoKey)? {
        PrivateKeyDer::Pkcs8(key) => return pair(key.secret_pkcs8_der()),
        PrivateKeyDer::Pkcs1(key) => wrap(RSA, key.secret_pkcs1_der()),
        PrivateKeyDer::Sec1(key) => {
            let key = key.secret_sec1_der();
            // Which curve it is on may stand in the key, or nowhere.
            return pair(&wrap(P256, key)).or_else(|_| pair(&wrap(P384, key)));
        }
        _ => return Err(AdoptError::NoKey),
    };
    pair(&pkcs8)
}

fn pair(pkcs8: &[u8]) -> Result<KeyPair, AdoptError> {
    KeyPair::try_from(pkcs8).map_err(AdoptError::KeyNotSupported)
}

/// rsaEncryption (RFC 8017, A.1), with NULL.
const RSA: &[u8] = &[
    0x06, 0x09, 0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x01, 0x01, 0x05, 0x00,
];
/// id-ecPublicKey with secp256r1 (RFC 5480, 2.1.1).
const P256: &[u8] = &[
    0x06, 0x07, 0x2a, 0x86, 0x48, 0xce, 0x3d, 0x02, 0x01, 0x06, 0x08, 0x2a, 0x86, 0x48,
    0xce, 0x3d, 0x03, 0x01, 0x07,
];
/// id-ecPublicKey with secp384r1.
const P384: &[u8] = &[
    0x06, 0x07, 0x2a, 0x86, 0x48, 0xce, 0x3d, 0x02, 0x01, 0x06, 0x05, 0x2b, 0x81, 0x04,
    0x00, 0x22,
];

/// PrivateKeyInfo (RFC 5208, 5) of version 0 around a key in its own form.
fn wrap(algorithm: &[u8], key: &[u8]) -> Vec<u8> {
    let mut fields = der::positive(&[]);
    fields.extend(der::value(der::SEQUENCE, algorithm));
    fields.extend(der::value(der::OCTET_STRING, key));
    der::value(der::SEQUENCE, &fields)
}
