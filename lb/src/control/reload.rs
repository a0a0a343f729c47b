//! Another configuration: what stays, what is opened, what is told when it is refused.

use std::sync::Arc;
use std::time::SystemTime;

use super::{Control, log_change};
use crate::check::Watch;
use crate::config::{self, Config};
use crate::listener::{self, BindError, Listener};
use crate::reading::ReadError;
use crate::roster::{Cause, View};

/// Why a reload changed nothing.
#[derive(Debug, thiserror::Error)]
enum ReloadError {
    #[error(transparent)]
    Read(#[from] ReadError),
    #[error(transparent)]
    Bind(#[from] BindError),
}

impl Control {
    /// Runs by this configuration from here on. Everything that can fail has been done.
    pub(super) async fn take(&mut self, config: &Config, listeners: Vec<Arc<Listener>>) {
        let before = self.roster.view();
        self.mean(config, listeners);
        self.watch();
        self.publish().await;
        self.tell_changes(&before, Cause::File);
    }

    /// Tells of the servers that stand otherwise than before.
    pub(super) fn tell_changes(&self, before: &View, cause: Cause) {
        let now = SystemTime::now();
        for change in self.roster.changes_since(before, cause) {
            log_change(&change);
            self.keeper.recorder().change(&change, now);
        }
    }

    /// Means this configuration; nobody is told yet.
    pub(super) fn mean(&mut self, config: &Config, listeners: Vec<Arc<Listener>>) {
        self.config = config.clone();
        self.finder.follow(config);
        let merged = self.finder.merged(config);
        self.roster.replace(&merged, &listeners, SystemTime::now());
        for frontend in &config.frontends {
            set_options(frontend, &listeners);
        }
        self.listeners = listeners;
        self.drain_delay = config.drain_delay;
        self.drain_timeout = config.drain_timeout;
    }

    /// Watches the servers by the plans of the configuration. All are told, since their
    /// certificates may have changed although the configuration did not.
    pub(super) fn watch(&mut self) {
        let mut old = std::mem::take(&mut self.watches);
        for plan in self.roster.plans() {
            let server = plan.server;
            let watch = match old.remove(&server) {
                Some(watch) => {
                    watch.follow(plan);
                    watch
                }
                None => Watch::begin(plan, self.results.clone()),
            };
            self.watches.insert(server, watch);
        }
    }

    pub(super) async fn reload(&mut self, read: Result<Config, ReadError>) {
        match self.open(read) {
            Ok((config, listeners)) => {
                self.take(&config, listeners).await;
                self.identity.reloaded(SystemTime::now());
                config
                    .warnings
                    .iter()
                    .for_each(|warning| tracing::warn!("{warning}"));
                for key in self.started_with.fixed_differences(&config) {
                    tracing::warn!(key, "a change of this key needs a restart");
                }
                tracing::info!(file = %self.path.display(), "reloaded");
            }
            Err(error) => {
                self.identity.reload_refused(&error, SystemTime::now());
                tracing::error!(%error, "reload refused; what ran before goes on");
            }
        }
        daemon::notify::ready();
    }

    fn open(
        &mut self,
        read: Result<Config, ReadError>,
    ) -> Result<(Config, Vec<Arc<Listener>>), ReloadError> {
        let config = read?;
        let listeners =
            listener::open_all(&config, &self.listeners, &mut self.last_listener)?;
        Ok((config, listeners))
    }
}

fn set_options(frontend: &config::Frontend, listeners: &[Arc<Listener>]) {
    for listener in listeners
        .iter()
        .filter(|l| frontend.binds.contains(&l.address))
    {
        if let Err(error) = listener.set_options(frontend.tcp) {
            tracing::error!(bind = %listener.address, %error, "socket options not set");
        }
    }
}
