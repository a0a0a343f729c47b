//! What every daemon says of itself: name, version, since when, with which config.

use serde_json::{Value, json};
use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::SystemTime;
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

use crate::metrics::Text;

/// The version all binaries of the workspace share.
pub const VERSION: &str = env!("CARGO_PKG_VERSION");

/// Name, version, start and configuration of a running daemon; the one place that
/// knows whether the last reload was taken.
#[derive(Debug)]
pub struct Identity {
    name: &'static str,
    since: SystemTime,
    path: PathBuf,
    reloads: AtomicU64,
    refusals: AtomicU64,
    loaded: Mutex<Loaded>,
}

/// Which config runs, and why a newer one does not.
#[derive(Debug)]
struct Loaded {
    at: SystemTime,
    refused: Option<(SystemTime, String)>,
}

impl Identity {
    /// A daemon that starts at `now` with the configuration file at `path`.
    pub fn new(name: &'static str, path: &Path, now: SystemTime) -> Self {
        Self {
            name,
            since: now,
            path: path.to_owned(),
            reloads: AtomicU64::new(0),
            refusals: AtomicU64::new(0),
            loaded: Mutex::new(Loaded {
                at: now,
                refused: None,
            }),
        }
    }

    /// `api-lb`, `vip-daemon`.
    pub fn name(&self) -> &'static str {
        self.name
    }

    /// What this daemon's metrics begin with: `api_lb`.
    pub fn prefix(&self) -> String {
        self.name.replace('-', "_")
    }

    /// A reload was taken: the file's contents run since `now`.
    pub fn reloaded(&self, now: SystemTime) {
        self.reloads.fetch_add(1, Ordering::Relaxed);
        self.record(|loaded| {
            *loaded = Loaded {
                at: now,
                refused: None,
            }
        });
    }

    /// A reload was refused: what ran before goes on.
    pub fn reload_refused(&self, why: &dyn fmt::Display, now: SystemTime) {
        self.refusals.fetch_add(1, Ordering::Relaxed);
        self.record(|loaded| loaded.refused = Some((now, why.to_string())));
    }

    fn record<R>(&self, act: impl FnOnce(&mut Loaded) -> R) -> R {
        // Poisoned only if a formatter panicked; the record is whole either way.
        act(&mut self.loaded.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// The keys that stand in every `/status`, over whatever the daemon answered.
    pub(crate) fn status(&self, own: Value) -> Value {
        let mut all = match own {
            Value::Object(map) => map,
            Value::Null => serde_json::Map::new(),
            other @ (Value::Bool(_)
            | Value::Number(_)
            | Value::String(_)
            | Value::Array(_)) => {
                serde_json::Map::from_iter([("status".to_owned(), other)])
            }
        };
        all.insert("apiVersion".to_owned(), json!("sternpost/v1"));
        all.insert("version".to_owned(), json!(VERSION));
        all.insert("since".to_owned(), json!(rfc3339(self.since)));
        all.insert("config".to_owned(), self.config());
        Value::Object(all)
    }

    fn config(&self) -> Value {
        self.record(|loaded| {
            let refused = loaded
                .refused
                .as_ref()
                .map(|(at, why)| json!({"at": rfc3339(*at), "error": why}));
            json!({"file": self.path, "loaded": rfc3339(loaded.at), "refused": refused})
        })
    }

    /// The metrics every daemon has.
    pub(crate) fn metrics(&self, text: &mut Text) {
        let prefix = self.prefix();
        let (loaded, current) =
            self.record(|loaded| (loaded.at, loaded.refused.is_none()));
        text.gauge(
            &format!("{prefix}_build_info"),
            "Version that runs, always 1.",
        )
        .sample(&[("version", VERSION)], 1_u64);
        text.gauge(
            &format!("{prefix}_start_time_seconds"),
            "When the daemon started, in seconds since 1970.",
        )
        .sample(&[], seconds(self.since));
        text.gauge(
            &format!("{prefix}_config_loaded_time_seconds"),
            "When the config that runs was loaded, in seconds since 1970.",
        )
        .sample(&[], seconds(loaded));
        text.gauge(
            &format!("{prefix}_config_current"),
            "1 when the last reload was taken, 0 when its file was refused.",
        )
        .sample(&[], current);
        text.counter(
            &format!("{prefix}_config_reloads_total"),
            "Reloads of the config file, by what became of them.",
        )
        .sample(
            &[("outcome", "taken")],
            self.reloads.load(Ordering::Relaxed),
        )
        .sample(
            &[("outcome", "refused")],
            self.refusals.load(Ordering::Relaxed),
        );
    }
}

fn seconds(at: SystemTime) -> f64 {
    at.duration_since(SystemTime::UNIX_EPOCH)
        .unwrap_or_default()
        .as_secs_f64()
}

/// A time as `/status` and the logs print it: RFC 3339, UTC.
pub fn rfc3339(at: SystemTime) -> String {
    OffsetDateTime::from(at)
        .format(&Rfc3339)
        .unwrap_or_else(|_| "unknown".to_owned())
}
