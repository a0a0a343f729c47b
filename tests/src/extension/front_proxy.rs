//! Whose word counts for who asks: the API servers'.

use rustls::pki_types::CertificateDer;
use serde_json::Value;
use x509_parser::parse_x509_certificate;

use crate::error::LabError;

/// How API servers show themselves to extensions, by what they write into the `ConfigMap`
/// `extension-apiserver-authentication` from their flags `--requestheader-*`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FrontProxy {
    /// Who has signed their certificate.
    pub authority_pem: String,
    /// The common names that it may have.
    pub names: Vec<String>,
    /// The header that names the user.
    pub user: String,
    /// The header that names a group.
    pub group: String,
}

impl FrontProxy {
    /// What the `ConfigMap` says.
    ///
    /// # Errors
    /// When it lacks one of these.
    pub fn of(map: &Value) -> Result<Self, LabError> {
        let text = |key: &str| {
            let found = map
                .pointer(&format!("/data/requestheader-{key}"))
                .and_then(Value::as_str);
            found.ok_or_else(|| LabError::Missing(format!("requestheader-{key}")))
        };
        let list = |key: &str| {
            let list = serde_json::from_str::<Vec<String>>(text(key)?);
            list.map_err(|error| {
                LabError::Missing(format!("requestheader-{key}: {error}"))
            })
        };
        let first = |key: &str| {
            let mut all = list(key)?.into_iter();
            all.next()
                .ok_or_else(|| LabError::Missing(format!("a requestheader-{key}")))
        };
        Ok(Self {
            authority_pem: text("client-ca-file")?.to_owned(),
            names: list("allowed-names")?,
            user: first("username-headers")?,
            group: first("group-headers")?,
        })
    }

    /// The name in a certificate of that authority, when it is one of theirs.
    pub(super) fn named(&self, certificate: &CertificateDer<'_>) -> Option<String> {
        let (_, certificate) = parse_x509_certificate(certificate).ok()?;
        let mut names = certificate.subject().iter_common_name();
        let name = names.next()?.as_str().ok()?;
        let mut allowed = self.names.iter();
        allowed.any(|one| one == name).then(|| name.to_owned())
    }
}
