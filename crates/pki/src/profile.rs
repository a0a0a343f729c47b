//! What a certificate is for: a subject, names and addresses, purposes.

use std::fmt;
use std::net::IpAddr;

use rcgen::string::Ia5String;
use rcgen::{
    CertificateParams, DistinguishedName, DnType, ExtendedKeyUsagePurpose, IsCa,
    KeyUsagePurpose, SanType,
};
use thiserror::Error;

/// What a certificate may be used for (RFC 5280, section 4.2.1.12).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Purpose {
    /// To answer TLS handshakes.
    Server,
    /// To present itself in a handshake it began.
    Client,
    /// Both, as between the members of etcd.
    Peer,
}

/// What a leaf certificate says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Profile {
    /// The subject's common name; in Kubernetes, the user.
    pub common_name: String,
    /// The subject's organisations; in Kubernetes, the groups.
    pub organizations: Vec<String>,
    /// The subject alternative names.
    pub names: Vec<Name>,
    /// What it may be used for.
    pub purpose: Purpose,
}

/// A subject alternative name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Name {
    /// A DNS name.
    Dns(String),
    /// An address.
    Address(IpAddr),
}

/// Why a certificate cannot carry a name.
#[derive(Debug, Error, PartialEq, Eq)]
#[error(
    "{0:?} cannot be a DNS name in a certificate; write letters, digits, dashes and dots"
)]
pub struct NameError(String);

impl Profile {
    /// A certificate for servers.
    #[must_use]
    pub fn server(common_name: &str, names: Vec<Name>) -> Self {
        Self::new(common_name, names, Purpose::Server)
    }

    /// A certificate for both sides of a handshake.
    #[must_use]
    pub fn peer(common_name: &str, names: Vec<Name>) -> Self {
        Self::new(common_name, names, Purpose::Peer)
    }

    /// A certificate for clients: a user and its groups.
    #[must_use]
    pub fn client(common_name: &str, organizations: &[&str]) -> Self {
        let organizations = organizations.iter().map(ToString::to_string).collect();
        Self {
            organizations,
            ..Self::new(common_name, Vec::new(), Purpose::Client)
        }
    }

    fn new(common_name: &str, names: Vec<Name>, purpose: Purpose) -> Self {
        let common_name = common_name.to_owned();
        Self {
            common_name,
            organizations: Vec::new(),
            names,
            purpose,
        }
    }

    pub(crate) fn params(&self) -> Result<CertificateParams, NameError> {
        let mut params = CertificateParams::default();
        params.distinguished_name = subject(
            &self.common_name,
            self.organizations.iter().map(String::as_str),
        );
        params.subject_alt_names =
            self.names.iter().map(Name::san).collect::<Result<_, _>>()?;
        params.is_ca = IsCa::ExplicitNoCa;
        params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
        params.extended_key_usages = self.purpose.extended();
        params.use_authority_key_identifier_extension = true;
        Ok(params)
    }
}

pub(crate) fn subject<'a>(
    common_name: &str,
    organizations: impl Iterator<Item = &'a str>,
) -> DistinguishedName {
    let mut subject = DistinguishedName::new();
    for organization in organizations {
        subject.push(DnType::OrganizationName, organization);
    }
    subject.push(DnType::CommonName, common_name);
    subject
}

impl Purpose {
    fn extended(self) -> Vec<ExtendedKeyUsagePurpose> {
        use ExtendedKeyUsagePurpose::{ClientAuth, ServerAuth};
        match self {
            Self::Server => vec![ServerAuth],
            Self::Client => vec![ClientAuth],
            Self::Peer => vec![ServerAuth, ClientAuth],
        }
    }
}

impl Name {
    /// A DNS name.
    ///
    /// # Errors
    /// When it is none (RFC 1123: labels of letters, digits and inner dashes).
    pub fn dns(name: &str) -> Result<Self, NameError> {
        match is_dns_name(name) {
            true => Ok(Self::Dns(name.to_owned())),
            false => Err(NameError(name.to_owned())),
        }
    }

    fn san(&self) -> Result<SanType, NameError> {
        match self {
            Self::Address(address) => Ok(SanType::IpAddress(*address)),
            Self::Dns(name) => Ia5String::try_from(name.as_str())
                .map(SanType::DnsName)
                .map_err(|_| NameError(name.clone())),
        }
    }
}

impl From<IpAddr> for Name {
    fn from(address: IpAddr) -> Self {
        Self::Address(address)
    }
}

impl fmt::Display for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Dns(name) => f.write_str(name),
            Self::Address(address) => write!(f, "{address}"),
        }
    }
}

fn is_dns_name(name: &str) -> bool {
    let label = |label: &str| {
        (1..=63).contains(&label.len())
            && !label.starts_with('-')
            && !label.ends_with('-')
            && label
                .bytes()
                .all(|byte| byte.is_ascii_alphanumeric() || byte == b'-')
    };
    name.len() <= 253 && name.split('.').all(label)
}
