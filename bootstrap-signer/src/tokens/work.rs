//! The task that looks after tokens and `cluster-info`: its own watches feed it through
//! one bounded channel; it does one thing at a time. Ends when it is aborted.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use futures_util::TryStreamExt as _;
use k8s_openapi::api::core::v1::{ConfigMap, Secret};
use kube::api::{DeleteParams, Patch, PatchParams, Preconditions};
use kube::runtime::WatchStreamExt as _;
use kube::runtime::watcher::{self, Event, watcher};
use kube::{Api, Client, ResourceExt as _};
use serde_json::json;
use token::{Stored, Update};
use tokio::sync::{mpsc, watch};
use tokio::time::Instant;

use super::ledger::{Change, Ledger, Todo, Version};
use crate::act::{ActError, NAME, within};
use crate::config::Mode;
use crate::desk::Rulebook;
use crate::shown::Shown;
use crate::watch::Pause;

/// Changes on their way; the watch waits when this is full.
const CHANGES: usize = 64;
/// A watch ends by itself so often, as those of the desk do.
const WATCH: u32 = 30;
/// After a failure, doubled with each up to the longest: another API server answers by
/// then, and where a right is missing nobody is flooded with refusals.
const FIRST_RETRY: Duration = Duration::from_millis(500);
const LONGEST_RETRY: Duration = Duration::from_secs(30);
/// The clock is looked at so often, for one that is set.
const LONGEST_SLEEP: Duration = Duration::from_secs(5);

const NAMESPACE: &str = "kube-public";
const CLUSTER_INFO: &str = "cluster-info";

/// What writes.
#[derive(Clone)]
pub struct Worker {
    secrets: Api<Secret>,
    infos: Api<ConfigMap>,
    shown: Arc<Shown>,
}

/// How an act ended.
#[derive(Debug)]
pub enum Ended {
    /// It was done.
    Done,
    /// Somebody else was faster; the watch tells.
    Overtaken,
    /// It could not be done.
    Failed(ActError),
}

impl Ended {
    /// As metrics name it.
    #[must_use]
    pub fn name(&self) -> &'static str {
        match self {
            Self::Done => "done",
            Self::Overtaken => "overtaken",
            Self::Failed(_) => "failed",
        }
    }

    fn of<T>(done: Result<T, ActError>) -> (Self, Option<T>) {
        match done {
            Ok(done) => (Self::Done, Some(done)),
            Err(ActError::Api(error)) if is_overtaken(&error) => (Self::Overtaken, None),
            Err(error) => (Self::Failed(error), None),
        }
    }
}

fn is_overtaken(error: &kube::Error) -> bool {
    matches!(error, kube::Error::Api(status) if matches!(status.code, 404 | 409))
}

/// Watches and works while the rules have duties.
pub async fn work(
    client: Client,
    mut rules: watch::Receiver<Arc<Rulebook>>,
    shown: Arc<Shown>,
) {
    loop {
        let duties = rules.borrow_and_update().tokens;
        if !duties.is_none() {
            let worker = Worker {
                secrets: Api::namespaced(client.clone(), token::NAMESPACE),
                infos: Api::namespaced(client.clone(), NAMESPACE),
                shown: Arc::clone(&shown),
            };
            worker.work(&mut rules).await;
        } else if rules.changed().await.is_err() {
            return;
        }
    }
}

impl Worker {
    /// Until there are no duties.
    async fn work(self, rules: &mut watch::Receiver<Arc<Rulebook>>) {
        let (changes, mut inlet) = mpsc::channel(CHANGES);
        let secrets = follow_tokens(self.secrets.clone(), changes.clone());
        let infos = follow_info(self.infos.clone(), changes);
        let watching = async { tokio::join!(secrets, infos) };
        let mut watching = std::pin::pin!(watching);
        let mut ledger = Ledger::default();
        let mut retry = None;
        let mut pause = FIRST_RETRY;
        loop {
            let rulebook = Arc::clone(&rules.borrow());
            if rulebook.tokens.is_none() {
                return;
            }
            let now = SystemTime::now();
            if retry.is_none_or(|at: Instant| at <= Instant::now()) {
                retry = None;
                let todo = match rulebook.mode {
                    Mode::Enforce => ledger.todo(rulebook.tokens, now),
                    Mode::Audit => Vec::new(),
                };
                if self.all(todo, &mut ledger).await {
                    pause = FIRST_RETRY;
                } else {
                    retry = Some(Instant::now() + pause);
                    pause = pause.saturating_mul(2).min(LONGEST_RETRY);
                }
            }
            let due = ledger.due(SystemTime::now());
            let sleep = due.map_or(LONGEST_SLEEP, |at| {
                at.duration_since(SystemTime::now()).unwrap_or_default()
            });
            let wake = Instant::now() + sleep.min(LONGEST_SLEEP);
            let wake = retry.map_or(wake, |retry| retry.min(wake));
            tokio::select! {
                change = inlet.recv() => match change {
                    Some(change) => ledger.apply(change),
                    None => return,
                },
                changed = rules.changed() => if changed.is_err() { return },
                _ = &mut watching => return,
                () = tokio::time::sleep_until(wake) => {}
            }
            while let Ok(change) = inlet.try_recv() {
                ledger.apply(change);
            }
        }
    }

    /// Whether nothing is to be tried again.
    async fn all(&self, todo: Vec<Todo>, ledger: &mut Ledger) -> bool {
        let mut whole = true;
        for one in todo {
            let (act, ended) = match one {
                Todo::Sign(update, version) => {
                    ("clusterInfo", self.sign(update, &version, ledger).await)
                }
                Todo::Delete(name, version) => {
                    ("deleteToken", self.delete(name, version, ledger).await)
                }
            };
            self.shown.tokens.ended(act, &ended);
            match ended {
                Ended::Done => {}
                // What it is like by now is on its way, or was asked for too early.
                Ended::Overtaken => whole = false,
                Ended::Failed(error) => {
                    let error = daemon::chain(&error);
                    tracing::warn!(act, error, "not done, tried again");
                    whole = false;
                }
            }
        }
        whole
    }

    async fn sign(
        &self,
        update: Update,
        version: &Version,
        ledger: &mut Ledger,
    ) -> Ended {
        let keys: Vec<&String> = update.keys().collect();
        tracing::info!(?keys, "cluster-info is signed");
        let patch = Patch::Merge(json!({
            "metadata": { "resourceVersion": version.version, "uid": version.uid },
            "data": update,
        }));
        let params = PatchParams {
            field_manager: Some(NAME.to_owned()),
            ..PatchParams::default()
        };
        let written = within(self.infos.patch(CLUSTER_INFO, &params, &patch)).await;
        let (ended, written) = Ended::of(written);
        if let Some(written) = written {
            ledger.apply(info(&written));
        }
        ended
    }

    /// That version of it: one whose end was put off meanwhile lives.
    async fn delete(&self, name: String, version: Version, ledger: &mut Ledger) -> Ended {
        let params = DeleteParams {
            preconditions: Some(Preconditions {
                uid: Some(version.uid),
                resource_version: Some(version.version),
            }),
            ..DeleteParams::default()
        };
        let (ended, _) = Ended::of(within(self.secrets.delete(&name, &params)).await);
        if matches!(ended, Ended::Done) {
            tracing::info!(secret = name, "the token has expired and is deleted");
            ledger.apply(Change::Gone(name));
        }
        ended
    }
}

async fn follow_tokens(secrets: Api<Secret>, changes: mpsc::Sender<Change>) {
    let config = watcher::Config::default().timeout(WATCH);
    let config = config.fields(&format!("type={}", token::TYPE));
    let events = watcher(secrets, config).backoff(Pause::default());
    let mut events = std::pin::pin!(events);
    loop {
        let change = match events.try_next().await {
            Ok(None) => return,
            Err(error) => {
                tracing::warn!(%error, "the watch of tokens broke");
                continue;
            }
            Ok(Some(Event::Init)) => Change::Listing,
            Ok(Some(Event::InitDone)) => Change::Listed,
            Ok(Some(Event::InitApply(secret) | Event::Apply(secret))) => stored(&secret),
            Ok(Some(Event::Delete(secret))) => Change::Gone(secret.name_any()),
        };
        if changes.send(change).await.is_err() {
            return;
        }
    }
}

async fn follow_info(infos: Api<ConfigMap>, changes: mpsc::Sender<Change>) {
    let config = watcher::Config::default().timeout(WATCH);
    let config = config.fields(&format!("metadata.name={CLUSTER_INFO}"));
    let events = watcher(infos, config).backoff(Pause::default());
    let mut events = std::pin::pin!(events);
    let mut listed = None;
    loop {
        let change = match events.try_next().await {
            Ok(None) => return,
            Err(error) => {
                tracing::warn!(%error, "the watch of cluster-info broke");
                continue;
            }
            Ok(Some(Event::Init)) => {
                listed = None;
                continue;
            }
            Ok(Some(Event::InitApply(map))) => {
                listed = Some(info(&map));
                continue;
            }
            Ok(Some(Event::InitDone)) => listed.take().unwrap_or(Change::NoInfo),
            Ok(Some(Event::Apply(map))) => info(&map),
            Ok(Some(Event::Delete(_))) => Change::NoInfo,
        };
        if changes.send(change).await.is_err() {
            return;
        }
    }
}

fn stored(secret: &Secret) -> Change {
    let name = secret.name_any();
    let data = secret.data.iter().flatten();
    let data = data.map(|(key, value)| (key.as_str(), value.0.as_slice()));
    let stored = Stored::read(&name, data);
    Change::Token(name, stored, version(&secret.metadata))
}

fn info(map: &ConfigMap) -> Change {
    let data: BTreeMap<String, String> = map.data.clone().unwrap_or_default();
    Change::Info(data, version(&map.metadata))
}

fn version(meta: &k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta) -> Version {
    Version {
        uid: meta.uid.clone().unwrap_or_default(),
        version: meta.resource_version.clone().unwrap_or_default(),
    }
}
