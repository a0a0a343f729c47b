//! A certificate authority: signs what a [`Profile`] says.

use std::fmt;
use std::time::{Duration, SystemTime};

use rcgen::{
    BasicConstraints, CertificateParams, IsCa, Issuer, KeyPair, KeyUsagePurpose,
    SerialNumber,
};
use ring::rand::{SecureRandom, SystemRandom};
use thiserror::Error;

use crate::certify::whole_seconds;
use crate::key::{KeyKind, generate};
use crate::profile::subject;
use crate::{Issued, NameError, PrivatePem, Profile, Purpose};

/// How long before the time of issue a certificate begins: clocks of other machines
/// may be behind by this much.
pub const BACKDATE: Duration = Duration::from_secs(5 * 60);
/// How long an authority lasts: 10 years of 365 days, as with kubeadm.
pub const CA_LIFETIME: Duration = Duration::from_secs(10 * 365 * 86_400);
/// How long a leaf lasts: 365 days, as with kubeadm.
pub const LEAF_LIFETIME: Duration = Duration::from_secs(365 * 86_400);
/// Octets of a serial number: RFC 5280, section 4.1.2.2, allows 20. The first bit is
/// kept clear so that DER needs no octet more.
const SERIAL_OCTETS: usize = 20;

/// An authority's certificate and key.
pub struct Authority {
    pub(crate) certificate_pem: String,
    /// Itself and its issuers, as far as the root; empty for a root.
    pub(crate) issuers_pem: String,
    pub(crate) root_pem: String,
    pub(crate) has_key_identifier: bool,
    pub(crate) not_before: SystemTime,
    pub(crate) not_after: SystemTime,
    pub(crate) name: String,
    pub(crate) fingerprint: String,
    /// What it may issue for; empty for everything.
    pub(crate) purposes: Vec<Purpose>,
    pub(crate) issuer: Issuer<'static, KeyPair>,
}

/// Why nothing was issued.
#[derive(Debug, Error)]
pub enum IssueError {
    /// The machine gave no randomness.
    #[error("the machine gave no random bytes")]
    Random,
    /// This processor cannot make such keys.
    #[error(
        "this machine's processor lacks what RSA keys are made with (AVX2 and ADX, or Arm's \
         cryptography); run this from another machine, or write pki.keyType: ECDSA-P256"
    )]
    Processor,
    /// No key could be made.
    #[error("no key could be made")]
    Key(#[source] rcgen::Error),
    /// The certificate could not be signed.
    #[error("the certificate for {subject} could not be signed")]
    Sign {
        /// Whom it was for.
        subject: String,
        /// What the library said.
        source: rcgen::Error,
    },
    /// A name cannot stand in a certificate.
    #[error("the certificate for {subject} cannot be issued")]
    Name {
        /// Whom it was for.
        subject: String,
        /// Which name.
        source: NameError,
    },
}

impl Authority {
    /// Makes a new authority that signs itself, with a key on P-256. `now` is the time of
    /// issue.
    ///
    /// # Errors
    /// When the machine gives no randomness.
    pub fn new(common_name: &str, now: SystemTime) -> Result<Self, IssueError> {
        Self::of_kind(common_name, KeyKind::P256, now)
    }

    /// Makes a new authority that signs itself. `now` is the time of issue.
    ///
    /// # Errors
    /// When the machine gives no randomness, or cannot make such keys.
    pub fn of_kind(
        common_name: &str,
        kind: KeyKind,
        now: SystemTime,
    ) -> Result<Self, IssueError> {
        let key = generate(kind)?;
        let mut params = CertificateParams::default();
        params.distinguished_name = subject(common_name, std::iter::empty());
        // Signs leaves alone: no authority stands below this one.
        params.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
        params.key_usages = vec![
            KeyUsagePurpose::DigitalSignature,
            KeyUsagePurpose::KeyCertSign,
            KeyUsagePurpose::CrlSign,
        ];
        params.use_authority_key_identifier_extension = true;
        date(&mut params, now, now + CA_LIFETIME)?;
        let certificate =
            params
                .self_signed(&key)
                .map_err(|source| IssueError::Sign {
                    subject: common_name.to_owned(),
                    source,
                })?;
        let certificate_pem = certificate.pem();
        Ok(Self {
            root_pem: certificate_pem.clone(),
            certificate_pem,
            issuers_pem: String::new(),
            has_key_identifier: true,
            not_before: params.not_before.into(),
            not_after: params.not_after.into(),
            name: format!("CN={common_name}"),
            fingerprint: fingerprint(certificate.der()),
            purposes: Vec::new(),
            issuer: Issuer::new(params, key),
        })
    }

    /// Issues a certificate with a new key on P-256. `now` is the time of issue.
    ///
    /// # Errors
    /// When a name cannot stand in a certificate or the machine gives no randomness.
    pub fn issue(
        &self,
        profile: &Profile,
        now: SystemTime,
    ) -> Result<Issued, IssueError> {
        self.issue_of_kind(profile, KeyKind::P256, now)
    }

    /// Issues a certificate with a new key, which lasts no longer than the authority. The
    /// authorities below the root go along. `now` is the time of issue.
    ///
    /// # Errors
    /// When a name cannot stand in a certificate, the machine gives no randomness, or cannot
    /// make such keys.
    pub fn issue_of_kind(
        &self,
        profile: &Profile,
        kind: KeyKind,
        now: SystemTime,
    ) -> Result<Issued, IssueError> {
        let subject = || profile.common_name.clone();
        let key = generate(kind)?;
        let mut params = profile.params().map_err(|source| IssueError::Name {
            subject: subject(),
            source,
        })?;
        if kind == KeyKind::Rsa2048 {
            params.key_usages.push(KeyUsagePurpose::KeyEncipherment);
        }
        // Without one in its own certificate, no verifier looks for the authority by it.
        params.use_authority_key_identifier_extension = self.has_key_identifier;
        date(&mut params, now, self.not_after.min(now + LEAF_LIFETIME))?;
        let certificate =
            params
                .signed_by(&key, &self.issuer)
                .map_err(|source| IssueError::Sign {
                    subject: subject(),
                    source,
                })?;
        Ok(Issued {
            certificate_pem: format!("{}{}", certificate.pem(), self.issuers_pem),
            key_pem: PrivatePem::of(&key),
        })
    }

    /// The authority's certificate in PEM form: what others trust.
    #[must_use]
    pub fn certificate_pem(&self) -> &str {
        &self.certificate_pem
    }

    /// The authority's key: whoever has it is the authority.
    #[must_use]
    pub fn key_pem(&self) -> PrivatePem {
        PrivatePem::of(self.issuer.key())
    }
}

impl fmt::Debug for Authority {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Authority").finish_non_exhaustive()
    }
}

fn date(
    params: &mut CertificateParams,
    now: SystemTime,
    not_after: SystemTime,
) -> Result<(), IssueError> {
    params.not_before = whole_seconds(now) - BACKDATE;
    params.not_after = whole_seconds(not_after);
    params.serial_number = Some(serial()?);
    Ok(())
}

/// SHA-256 of a certificate in DER form, in hexadecimal.
pub(crate) fn fingerprint(der: &[u8]) -> String {
    let digest = ring::digest::digest(&ring::digest::SHA256, der);
    digest
        .as_ref()
        .iter()
        .map(|octet| format!("{octet:02x}"))
        .collect()
}

pub(crate) fn serial() -> Result<SerialNumber, IssueError> {
    let mut octets = [0; SERIAL_OCTETS];
    SystemRandom::new()
        .fill(&mut octets)
        .map_err(|_| IssueError::Random)?;
    let [first, ..] = &mut octets;
    *first = *first & 0x7f | 0x40;
    Ok(SerialNumber::from(octets.to_vec()))
}
