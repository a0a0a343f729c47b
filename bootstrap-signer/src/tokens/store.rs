//! Tokens at the API server, for the command line.

use std::collections::BTreeMap;
use std::path::Path;
use std::time::SystemTime;

use k8s_openapi::ByteString;
use k8s_openapi::api::core::v1::Secret;
use kube::api::{DeleteParams, ListParams, ObjectMeta, PostParams, Preconditions};
use kube::{Api, ResourceExt as _};
use token::{PREFIX, Spec, Stored, TYPE};

use crate::act::{ActError, within};
use crate::credentials;
use crate::run::RunError;

/// Tokens of one page of a list.
const PAGE: u32 = 500;
/// What is not written onto a token again and again: its limits.
const NOTES: [&str; 4] = [
    token::NODE_NAMES,
    token::MAX_NODES,
    token::ONE_SHOT,
    token::USED_BY,
];

/// Why a command about tokens was not done.
#[derive(Debug, thiserror::Error)]
pub(super) enum StoreError {
    /// There is no way to the API server.
    #[error(transparent)]
    Client(#[from] RunError),
    /// It did not do it.
    #[error(transparent)]
    Act(#[from] ActError),
    /// There is a token of this name.
    #[error("there is a token {0}; `token delete {0}` deletes it")]
    Exists(String),
    /// There is none of this name.
    #[error("there is no token {0}")]
    Missing(String),
    /// What is called so is no token.
    #[error("the Secret {PREFIX}{0} is no bootstrap token; it is left alone")]
    NoToken(String),
}

/// A token as it is listed.
#[derive(Debug)]
pub(super) struct Listed {
    /// The Secret's name.
    pub name: String,
    /// What it says, but its secret.
    pub stored: Stored,
    /// Its limits and uses, by annotation.
    pub notes: BTreeMap<&'static str, String>,
}

/// Where tokens are.
pub(super) struct Store(Api<Secret>);

impl Store {
    /// At the API server that `kubeconfig` names.
    ///
    /// # Errors
    /// It names none that can be used.
    pub(super) async fn open(kubeconfig: Option<&Path>) -> Result<Self, StoreError> {
        let client = credentials::client(kubeconfig).await?;
        Ok(Self(Api::namespaced(client, token::NAMESPACE)))
    }

    /// Makes a token.
    ///
    /// # Errors
    /// There is one of its name, or the API server did not do it.
    pub(super) async fn create(&self, spec: &Spec) -> Result<(), StoreError> {
        let owned = |(key, value): (&str, String)| (key.to_owned(), value);
        let bytes = |(key, value): (&str, String)| {
            (key.to_owned(), ByteString(value.into_bytes()))
        };
        let notes = spec.annotations().into_iter().map(owned).collect();
        let secret = Secret {
            metadata: ObjectMeta {
                name: Some(format!("{PREFIX}{}", spec.token.id())),
                annotations: Some(notes),
                ..ObjectMeta::default()
            },
            type_: Some(TYPE.to_owned()),
            data: Some(spec.data().into_iter().map(bytes).collect()),
            ..Secret::default()
        };
        let params = PostParams::default();
        match within(self.0.create(&params, &secret)).await {
            Err(error) if code(&error) == Some(409) => {
                Err(StoreError::Exists(spec.token.id().to_owned()))
            }
            made => Ok(made.map(drop)?),
        }
    }

    /// All tokens, by name.
    ///
    /// # Errors
    /// The API server does not say.
    pub(super) async fn list(&self) -> Result<Vec<Listed>, StoreError> {
        let mut params = ListParams::default()
            .fields(&format!("type={TYPE}"))
            .limit(PAGE);
        let mut all = Vec::new();
        loop {
            let page = within(self.0.list(&params)).await?;
            all.extend(page.items.iter().map(listed));
            match page.metadata.continue_.filter(|token| !token.is_empty()) {
                Some(next) => params.continue_token = Some(next),
                None => return Ok(all),
            }
        }
    }

    /// Deletes the token `id`.
    ///
    /// # Errors
    /// There is none, or the API server did not do it.
    pub(super) async fn delete(&self, id: &str) -> Result<(), StoreError> {
        let name = format!("{PREFIX}{id}");
        let found = within(self.0.get_opt(&name)).await?;
        let missing = || StoreError::Missing(id.to_owned());
        let found = found.ok_or_else(missing)?;
        if found.type_.as_deref() != Some(TYPE) {
            return Err(StoreError::NoToken(id.to_owned()));
        }
        let params = DeleteParams {
            preconditions: Some(Preconditions {
                uid: found.metadata.uid,
                resource_version: None,
            }),
            ..DeleteParams::default()
        };
        match within(self.0.delete(&name, &params)).await {
            Err(error) if code(&error) == Some(404) => Err(missing()),
            deleted => Ok(deleted.map(drop)?),
        }
    }
}

fn listed(secret: &Secret) -> Listed {
    let data = secret.data.iter().flatten();
    let data = data.map(|(key, value)| (key.as_str(), value.0.as_slice()));
    let notes = secret.annotations();
    let notes = NOTES
        .iter()
        .filter_map(|key| Some((*key, notes.get(*key)?.clone())));
    Listed {
        stored: Stored::read(&secret.name_any(), data),
        name: secret.name_any(),
        notes: notes.collect(),
    }
}

impl Listed {
    /// Whether it is dead at `now`.
    #[must_use]
    pub(super) fn is_over(&self, now: SystemTime) -> bool {
        self.stored.expiry.is_over(now)
    }
}

fn code(error: &ActError) -> Option<u16> {
    let ActError::Api(error) = error else {
        return None;
    };
    let kube::Error::Api(status) = error.as_ref() else {
        return None;
    };
    Some(status.code)
}
