//! A `CertificateSigningRequest` from a file, as `kubectl get csr NAME -o yaml` prints it.

use std::collections::BTreeSet;
use std::path::Path;
use std::time::{Duration, SystemTime};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use policy::{State, Submitted};
use serde::Deserialize;
use serde_json::Value;
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

/// A request that was read.
#[derive(Debug, Clone)]
pub struct Manifest {
    /// The PEM text in `spec.request`.
    pub pem: Vec<u8>,
    object: Object,
    created: Option<SystemTime>,
}

/// Why a file is no request.
#[derive(Debug, thiserror::Error)]
pub enum ManifestError {
    /// It cannot be read.
    #[error("{0} cannot be read")]
    Read(String, #[source] std::io::Error),
    /// It is neither YAML nor JSON.
    #[error(transparent)]
    Text(#[from] config::Errors),
    /// It is another object.
    #[error("{0}: is no CertificateSigningRequest of certificates.k8s.io/v1")]
    Kind(String),
    /// A field is missing or of another type.
    #[error("{0}: is not whole; take it from `kubectl get csr NAME -o yaml`")]
    Fields(String, #[source] serde_json::Error),
    /// `spec.request` is not base64.
    #[error("{0}: spec.request is not base64")]
    Request(String, #[source] base64::DecodeError),
    /// `metadata.creationTimestamp` is no time.
    #[error("{0}: metadata.creationTimestamp is no time")]
    Created(String, #[source] time::error::Parse),
}

/// Only what a decision needs; the rest of the object is let pass.
#[derive(Debug, Clone, Deserialize)]
struct Object {
    metadata: Metadata,
    spec: Spec,
    #[serde(default)]
    status: Status,
}

#[derive(Debug, Clone, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Metadata {
    name: String,
    uid: Option<String>,
    creation_timestamp: Option<String>,
    deletion_timestamp: Option<String>,
}

#[derive(Debug, Clone, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Spec {
    request: String,
    signer_name: String,
    username: String,
    #[serde(default)]
    groups: BTreeSet<String>,
    #[serde(default)]
    usages: Vec<String>,
    expiration_seconds: Option<i64>,
}

#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
struct Status {
    conditions: Vec<Value>,
    certificate: Option<String>,
}

impl Manifest {
    /// Reads the file at `path`.
    ///
    /// # Errors
    /// It is no whole request.
    pub fn read(path: &Path) -> Result<Self, ManifestError> {
        let name = path.display().to_string();
        match std::fs::read_to_string(path) {
            Ok(text) => Self::parse(&name, &text),
            Err(error) => Err(ManifestError::Read(name, error)),
        }
    }

    /// The same for a text that errors call `name`.
    ///
    /// # Errors
    /// It is no whole request.
    pub fn parse(name: &str, text: &str) -> Result<Self, ManifestError> {
        let value: Value = config::parse_foreign(name, text)?.file;
        let header = |key: &str| value.get(key).and_then(Value::as_str);
        let (version, kind) = (header("apiVersion"), header("kind"));
        if (version, kind) != (Some(VERSION), Some(KIND)) {
            return Err(ManifestError::Kind(name.to_owned()));
        }
        let object: Object = serde_json::from_value(value)
            .map_err(|error| ManifestError::Fields(name.to_owned(), error))?;
        let pem = STANDARD
            .decode(object.spec.request.trim())
            .map_err(|error| ManifestError::Request(name.to_owned(), error))?;
        let created = object.metadata.creation_timestamp.as_deref();
        let created = created
            .map(|text| OffsetDateTime::parse(text, &Rfc3339))
            .transpose()
            .map_err(|error| ManifestError::Created(name.to_owned(), error))?;
        Ok(Self {
            pem,
            object,
            created: created.map(SystemTime::from),
        })
    }

    /// The object; one that was not submitted yet is taken as made `now`.
    #[must_use]
    pub fn submitted(&self, now: SystemTime) -> Submitted {
        let spec = &self.object.spec;
        let lifetime = |seconds: i64| {
            Duration::from_secs(u64::try_from(seconds).unwrap_or_default())
        };
        Submitted {
            name: self.object.metadata.name.clone(),
            uid: self.object.metadata.uid.clone().unwrap_or_default(),
            signer: spec.signer_name.clone(),
            username: spec.username.clone(),
            groups: spec.groups.clone(),
            usages: spec.usages.clone(),
            expiration: spec.expiration_seconds.map(lifetime),
            created: self.created.unwrap_or(now),
            state: self.state(),
        }
    }

    fn state(&self) -> State {
        let certificate = self.object.status.certificate.as_deref();
        if self.object.metadata.deletion_timestamp.is_some() {
            State::Deleting
        } else if certificate.is_some_and(|text| !text.is_empty()) {
            State::Issued
        } else if self.object.status.conditions.is_empty() {
            State::Pending
        } else {
            State::Decided
        }
    }
}

const VERSION: &str = "certificates.k8s.io/v1";
const KIND: &str = "CertificateSigningRequest";
