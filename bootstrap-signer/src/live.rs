//! One look at the cluster: everything a decision needs is listed once, into a book like the
//! daemon's. What `explain --csr` is told.

use k8s_openapi::api::certificates::v1::CertificateSigningRequest as Csr;
use k8s_openapi::api::coordination::v1::Lease;
use k8s_openapi::api::core::v1::{Node, Secret};
use kube::api::ListParams;
use kube::{Api, Client, ResourceExt as _};
use policy::{Access, Explanation, Known};
use serde::de::DeserializeOwned;
use std::fmt::Debug;
use std::sync::Arc;
use std::time::SystemTime;

use crate::act::{ActError, Writer};
use crate::book::{Book, Change, Kind};
use crate::config::Config;
use crate::watch;

/// Objects of one answer: requests may be large, and a cluster may have thousands.
const PAGE: u32 = 100;
/// Pages of one kind: ten thousand objects. What is beyond is said to be.
const PAGES: usize = 100;

/// Why the cluster could not be asked.
#[derive(Debug, thiserror::Error)]
pub enum LookError {
    /// A kind cannot be listed.
    #[error("the API server does not list {0}")]
    List(&'static str, #[source] Box<kube::Error>),
    /// There is more of a kind than is read.
    #[error("there are more {0} than are read at a time")]
    TooMany(&'static str),
    /// There is no such request.
    #[error("there is no CertificateSigningRequest {0:?}")]
    NoRequest(String),
    /// The rights of the requester are not told.
    #[error("the API server does not say what the requester may")]
    Review(#[source] ActError),
}

/// What the rules say of the request called `name`, from what is in the cluster.
///
/// # Errors
/// Something cannot be asked, or there is no such request.
pub async fn explain(
    client: &Client,
    config: &Config,
    name: &str,
) -> Result<Explanation, LookError> {
    let book = look(client, name).await?;
    if book.seen(name).is_none() {
        return Err(LookError::NoRequest(name.to_owned()));
    }
    let (settings, inventory) = (&config.settings, config.inventory.as_ref());
    let now = SystemTime::now();
    let unasked = |_: &_, _: Access| Known::Unknown("not asked");
    let asked = book.decide(name, settings, inventory, unasked, now);
    let access = asked.and_then(|(_, access)| access);
    let granted = match (book.seen(name), access) {
        (Some(seen), Some(access)) => {
            let answer = Writer::new(client, Arc::default())
                .review(seen, access)
                .await;
            Known::Known(answer.map_err(LookError::Review)?)
        }
        (None, _) | (_, None) => Known::Unknown("not asked"),
    };
    let explained = book.explain(name, settings, inventory, |_, _| granted, now);
    explained.ok_or_else(|| LookError::NoRequest(name.to_owned()))
}

async fn look(client: &Client, name: &str) -> Result<Book, LookError> {
    let mut book = Book::about(name);
    let mut requests: Vec<Csr> = list(&Api::all(client.clone()), "", "requests").await?;
    // The daemon saw them in the order they came.
    requests.sort_by_key(|csr| (csr.metadata.creation_timestamp.clone(), csr.name_any()));
    for object in &requests {
        let wanted = object.name_any() == name;
        let seen = if wanted {
            Some(watch::seen(object))
        } else {
            watch::request(object)
        };
        seen.into_iter().for_each(|change| book.apply(change));
    }
    let nodes: Vec<Node> = list(&Api::all(client.clone()), "", "nodes").await?;
    let in_namespace = |namespace| Api::namespaced(client.clone(), namespace);
    let leases: Vec<Lease> = list(&in_namespace("kube-node-lease"), "", "leases").await?;
    let secrets = Api::namespaced(client.clone(), "kube-system");
    let tokens: Vec<Secret> = list(&secrets, watch::TOKENS, "tokens").await?;
    let nodes = nodes.iter().filter_map(watch::node);
    let leases = leases.iter().filter_map(watch::lease);
    let tokens = tokens.iter().filter_map(watch::token);
    nodes
        .chain(leases)
        .chain(tokens)
        .for_each(|change| book.apply(change));
    for kind in Kind::ALL {
        book.apply(Change::Whole(kind, book.names(kind)));
    }
    Ok(book)
}

/// All objects of a kind, page by page.
///
/// # Errors
/// They cannot be listed, or are too many.
pub async fn list<K>(
    api: &Api<K>,
    fields: &str,
    what: &'static str,
) -> Result<Vec<K>, LookError>
where
    K: Clone + DeserializeOwned + Debug,
{
    let mut all = Vec::new();
    let mut params = ListParams::default().fields(fields).limit(PAGE);
    for _ in 0..PAGES {
        let page = api.list(&params).await;
        let page = page.map_err(|error| LookError::List(what, Box::new(error)))?;
        all.extend(page.items);
        match page.metadata.continue_.filter(|token| !token.is_empty()) {
            None => return Ok(all),
            Some(token) => params.continue_token = Some(token),
        }
    }
    Err(LookError::TooMany(what))
}
