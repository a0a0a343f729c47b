//! The searches of a configuration: begun, kept over reloads, ended. Control owns it and
//! hands it what they say.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::SystemTime;

use tokio::sync::{mpsc, watch};
use tokio::task::AbortHandle;

use super::cluster::Follower;
use super::{FOUND, Found, Heard, Ledger, dns, memory, merge};
use crate::config::{self, Config, Discovery, Source};
use crate::roster::View;

/// The searches of a configuration.
#[derive(Debug)]
pub struct Finder {
    view: watch::Receiver<Arc<View>>,
    out: mpsc::Sender<Found>,
    searches: BTreeMap<Arc<str>, Search>,
    binds: Vec<SocketAddr>,
}

#[derive(Debug)]
struct Search {
    source: Source,
    ledger: Ledger,
    task: AbortHandle,
    kept: Option<Kept>,
}

/// Where what is known is kept; its task ends with the channel.
#[derive(Debug)]
struct Kept {
    file: PathBuf,
    servers: watch::Sender<Vec<SocketAddr>>,
}

impl Drop for Search {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl Finder {
    /// Seeks nothing yet. Servers are asked by how they stand in `view`; what they say is to
    /// come back to [`Finder::hear`].
    #[must_use]
    pub fn new(view: watch::Receiver<Arc<View>>) -> (Self, mpsc::Receiver<Found>) {
        let (out, found) = mpsc::channel(FOUND);
        let finder = Self {
            view,
            out,
            searches: BTreeMap::new(),
            binds: Vec::new(),
        };
        (finder, found)
    }

    /// Seeks by this configuration from here on, within a runtime. What is known of a
    /// backend is kept while it seeks at all.
    pub fn follow(&mut self, config: &Config) {
        let binds = config.frontends.iter().flat_map(|frontend| &frontend.binds);
        self.binds = binds.copied().collect();
        let mut old = std::mem::take(&mut self.searches);
        for backend in &config.backends {
            let name = Arc::clone(&backend.name);
            if let Some(discovery) = &backend.discovery {
                let search = match old.remove(&name) {
                    Some(search) if search.source == discovery.source => {
                        search.kept_at(discovery)
                    }
                    Some(search) => {
                        let ledger = search.ledger.clone();
                        self.begin(&name, discovery, ledger)
                    }
                    None => {
                        let ledger = Ledger::remembering(&discovery.remembered);
                        self.begin(&name, discovery, ledger)
                    }
                };
                self.searches.insert(name, search);
            }
        }
    }

    fn begin(&self, name: &Arc<str>, discovery: &Discovery, ledger: Ledger) -> Search {
        let backend = Arc::clone(name);
        let out = self.out.clone();
        let task = match discovery.source.clone() {
            Source::Dns { hosts, interval } => {
                let resolve = Arc::new(dns::system);
                tokio::spawn(dns::look(backend, hosts, interval, resolve, out))
            }
            Source::Kubernetes { kubeconfig } => {
                let follower = Follower {
                    backend,
                    kubeconfig,
                    view: self.view.clone(),
                    out,
                };
                tokio::spawn(follower.follow())
            }
        };
        let search = Search {
            source: discovery.source.clone(),
            ledger,
            task: task.abort_handle(),
            kept: None,
        };
        search.kept_at(discovery)
    }

    /// The configuration with what is known.
    #[must_use]
    pub fn merged(&self, config: &Config) -> Config {
        merge::merged(config, |name| {
            self.searches
                .get(name)
                .map(|search| search.ledger.servers())
        })
    }

    /// What is known of each backend that seeks.
    #[must_use]
    pub fn ledgers(&self) -> BTreeMap<Arc<str>, Ledger> {
        let each = self.searches.iter();
        each.map(|(name, search)| (Arc::clone(name), search.ledger.clone()))
            .collect()
    }

    /// Takes in what was said, and keeps it. What came for a backend that no longer seeks is
    /// passed over.
    pub fn hear(&mut self, found: Found, now: SystemTime) -> Heard {
        let Some(search) = self.searches.get_mut(&found.backend) else {
            return Heard::Same;
        };
        let unfit = |server| config::is_unfit(server, &self.binds);
        let heard = search.ledger.hear(found.answer, unfit, now);
        if let (Heard::Changed { .. }, Some(kept)) = (&heard, &search.kept) {
            let servers = search.ledger.servers().iter().copied().collect();
            kept.servers.send_replace(servers);
        }
        log(&found.backend, search, &heard);
        heard
    }
}

impl Search {
    /// The same, kept where the configuration says.
    fn kept_at(mut self, discovery: &Discovery) -> Self {
        let is_there =
            self.kept.as_ref().map(|kept| &kept.file) == discovery.file.as_ref();
        if !is_there {
            self.kept = discovery.file.clone().map(|file| {
                let known: Vec<SocketAddr> =
                    self.ledger.servers().iter().copied().collect();
                let (servers, written) = watch::channel(Vec::new());
                tokio::spawn(memory::keep(file.clone(), written));
                if known != discovery.remembered {
                    servers.send_replace(known);
                }
                Kept { file, servers }
            });
        }
        self
    }
}

fn log(backend: &str, search: &Search, heard: &Heard) {
    let text = |servers: &[SocketAddr]| {
        let each: Vec<String> = servers.iter().map(ToString::to_string).collect();
        each.join(" ")
    };
    let source = search.source.name();
    let known = search.ledger.servers().len();
    let error = search.ledger.failure.as_deref();
    match heard {
        Heard::Changed { came, left } => {
            let (came, left) = (text(came), text(left));
            tracing::info!(backend, source, came, left, known, error, "servers found");
        }
        Heard::Fails => {
            tracing::warn!(
                backend,
                source,
                known,
                error,
                "no servers found; those that are known stay"
            );
        }
        Heard::Same | Heard::StillFails => {}
    }
}
