//! Lists and watches: each kind of object in a task of its own, which sends what it sees
//! through one bounded channel and starts over, from where it was, when the API server
//! dies. Ends with the receiver.

mod again;

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Debug;
use std::sync::Arc;
use std::time::Duration;

use futures_util::TryStreamExt as _;
use k8s_openapi::api::certificates::v1::CertificateSigningRequest;
use k8s_openapi::api::coordination::v1::Lease;
use k8s_openapi::api::core::v1::{Node, Secret};
use kube::runtime::utils::Backoff;
use kube::runtime::watcher::{self, Event};
use kube::runtime::{WatchStreamExt as _, watcher as watch};
use kube::{Api, Client, Resource, ResourceExt as _};
use policy::Signer;
use serde::de::DeserializeOwned;
use tokio::sync::Notify;
use tokio::sync::mpsc::Sender;
use tokio::time::Instant;

use self::again::{Again, Told};
use crate::api;
use crate::book::{Change, Kind, Ledger, Seen};
use crate::signing::Tray;
use crate::stranger;

/// Changes on their way. The watch waits when the desk is behind: what is not read stays
/// in the API server.
pub const CHANGES: usize = 256;

/// A watch ends by itself so often. A server that is gone without a word is noticed by
/// then; the balancer in front of it cuts it earlier.
const WATCH: u32 = 30;

const FIRST_PAUSE: Duration = Duration::from_millis(50);
/// A dead server's neighbour answers at once; a cluster without any is not to be flooded.
const LONGEST_PAUSE: Duration = Duration::from_secs(2);

/// Doubles from [`FIRST_PAUSE`] to [`LONGEST_PAUSE`].
#[derive(Debug, Clone, Copy)]
pub(crate) struct Pause(Duration);

impl Default for Pause {
    fn default() -> Self {
        Self(FIRST_PAUSE)
    }
}

impl Iterator for Pause {
    type Item = Duration;

    fn next(&mut self) -> Option<Duration> {
        let now = self.0;
        self.0 = now.saturating_mul(2).min(LONGEST_PAUSE);
        Some(now)
    }
}

impl Backoff for Pause {
    fn reset(&mut self) {
        *self = Self::default();
    }
}

/// Requests of one answer. Each may have a megabyte, whoever made it.
const PAGE: u32 = 50;

/// Secrets that are bootstrap tokens.
pub const TOKENS: &str = "type=bootstrap.kubernetes.io/token";

/// Watches everything a decision needs; requests are read once more when `asked` to.
pub async fn all(
    client: Client,
    changes: Sender<Change>,
    tray: Arc<Tray>,
    asked: Arc<Notify>,
) {
    let every = || watch::Config::default().timeout(WATCH);
    let tokens = every().fields(TOKENS);
    let requests: Api<CertificateSigningRequest> = Api::all(client.clone());
    let nodes: Api<Node> = Api::all(client.clone());
    let leases: Api<Lease> = Api::namespaced(client.clone(), "kube-node-lease");
    let secrets: Api<Secret> = Api::namespaced(client, "kube-system");
    let seen = move |csr: &CertificateSigningRequest| {
        // What cannot be written to is not signed, whoever approved it.
        if policy::is_request_name(&csr.name_any()) {
            tray.see(csr, Instant::now().into_std());
        }
        request(csr)
    };
    let again = Again::new(requests.clone(), asked);
    tokio::join!(
        follow(
            requests,
            every().page_size(PAGE),
            Kind::Requests,
            changes.clone(),
            seen,
            Some(again)
        ),
        follow(nodes, every(), Kind::Nodes, changes.clone(), node, None),
        follow(leases, every(), Kind::Leases, changes.clone(), lease, None),
        follow(secrets, tokens, Kind::Tokens, changes, token, None),
    );
}

/// What a request of our signers changes.
pub fn request(object: &CertificateSigningRequest) -> Option<Change> {
    Signer::named(&object.spec.signer_name)?;
    Some(seen(object))
}

/// What any request changes.
pub fn seen(object: &CertificateSigningRequest) -> Change {
    let (submitted, pem) = api::request(object);
    let extra = object.spec.extra.clone().unwrap_or_default();
    Change::Request(Box::new(Seen {
        submitted,
        pem,
        version: object.resource_version().unwrap_or_default(),
        denied: api::is_denied(object),
        approved: api::approved(object),
        stranger: stranger::decided(object),
        issued: api::issued(object),
        requester_uid: object.spec.uid.clone().unwrap_or_default(),
        extra: extra.into_iter().collect::<BTreeMap<_, _>>(),
    }))
}

/// What a Node changes.
pub fn node(object: &Node) -> Option<Change> {
    Some(Change::Node(object.name_any(), api::node(object)))
}

/// What a node's lease changes.
pub fn lease(object: &Lease) -> Option<Change> {
    Some(Change::Renewed(object.name_any(), api::renewed(object)?))
}

/// What a token's Secret changes. One that is none by now, since its id is another's, is as
/// good as gone.
pub fn token(object: &Secret) -> Option<Change> {
    Some(match api::token(object) {
        Some((id, token)) => Change::Token(id, token, ledger(object)),
        None => Change::Gone(Kind::Tokens, key(Kind::Tokens, object)),
    })
}

/// What a token's Secret says of its uses.
pub fn ledger(object: &Secret) -> Ledger {
    let uses = object.annotations().get(api::USED_BY);
    Ledger {
        version: object.resource_version().unwrap_or_default(),
        used_by: uses.cloned().unwrap_or_default(),
    }
}

/// The name under which the book knows an object.
fn key<K: Resource>(kind: Kind, object: &K) -> String {
    let name = object.meta().name.clone().unwrap_or_default();
    match kind {
        Kind::Tokens => match name.strip_prefix(api::TOKEN) {
            Some(id) => id.to_owned(),
            None => name,
        },
        Kind::Requests | Kind::Nodes | Kind::Leases => name,
    }
}

async fn follow<K>(
    api: Api<K>,
    config: watch::Config,
    kind: Kind,
    changes: Sender<Change>,
    read: impl Fn(&K) -> Option<Change>,
    mut again: Option<Again<K>>,
) where
    K: Resource + Clone + Debug + DeserializeOwned + Send + 'static,
{
    let mut events =
        std::pin::pin!(watcher::watcher(api, config).backoff(Pause::default()));
    let mut listed = BTreeSet::new();
    loop {
        let event = tokio::select! {
            biased;
            event = events.try_next() => event,
            told = told(&mut again) => {
                if send(&changes, told, &read).await.is_err() {
                    return;
                }
                continue;
            }
        };
        let change = match event {
            Ok(None) => return,
            Err(error) => {
                tracing::warn!(kind = kind.name(), %error, "the watch broke");
                continue;
            }
            Ok(Some(Event::Init)) => {
                listed.clear();
                // All of them come anew, also those there was no room for.
                again.as_ref().map(|_| Change::ReadAgain)
            }
            Ok(Some(Event::InitDone)) => {
                Some(Change::Whole(kind, std::mem::take(&mut listed)))
            }
            Ok(Some(Event::InitApply(object))) => {
                listed.insert(key(kind, &object));
                read(&object)
            }
            Ok(Some(Event::Apply(object))) => read(&object),
            Ok(Some(Event::Delete(object))) => {
                let name = key(kind, &object);
                if let Some(again) = &mut again {
                    again.gone(&name);
                }
                Some(Change::Gone(kind, name))
            }
        };
        if let Some(change) = change
            && changes.send(change).await.is_err()
        {
            return;
        }
    }
}

/// What a reading says, where there is one.
async fn told<K>(again: &mut Option<Again<K>>) -> Told<K>
where
    K: Resource + Clone + Debug + DeserializeOwned + Send + 'static,
{
    match again {
        Some(again) => again.next().await,
        None => std::future::pending().await,
    }
}

/// Sends on what was read again; fails with the receiver.
async fn send<K>(
    changes: &Sender<Change>,
    told: Told<K>,
    read: &impl Fn(&K) -> Option<Change>,
) -> Result<(), ()> {
    let objects = match told {
        Told::Begins => return changes.send(Change::ReadAgain).await.map_err(drop),
        Told::There(objects) => objects,
    };
    for change in objects.iter().filter_map(read) {
        let change = match change {
            Change::Request(seen) => Change::Again(seen),
            other @ (Change::ReadAgain
            | Change::Again(_)
            | Change::Node(..)
            | Change::Renewed(..)
            | Change::Token(..)
            | Change::Gone(..)
            | Change::Whole(..)) => other,
        };
        changes.send(change).await.map_err(drop)?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use k8s_openapi::ByteString;

    use super::*;

    #[test]
    fn a_token_whose_id_became_another_s_is_gone() {
        let mut secret = Secret::default();
        secret.metadata.name = Some("bootstrap-token-abc123".to_owned());
        let mut with = |id: &str| {
            let id = ByteString(id.as_bytes().to_vec());
            secret.data = Some([("token-id".to_owned(), id)].into());
            token(&secret)
        };
        assert!(matches!(with("abc123"), Some(Change::Token(id, ..)) if id == "abc123"));
        for other in ["def456", "", "ABC123"] {
            let change = with(other);
            assert!(
                matches!(&change, Some(Change::Gone(Kind::Tokens, id)) if id == "abc123"),
                "{change:?}"
            );
        }
    }
}
