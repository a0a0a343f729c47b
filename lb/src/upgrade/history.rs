//! How upgrades went: for `/status`, the metrics and the log of the image that runs.

use std::time::{Duration, SystemTime};

use daemon::metrics::Text;
use daemon::rfc3339;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

/// The upgrades since the process began; each image hands it to the next.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct History {
    /// Upgrades that succeeded.
    pub done: u64,
    /// Those that were refused, or that the old program came back from.
    pub failed: u64,
    /// The last that succeeded.
    pub last: Option<Done>,
    /// The last that failed, if none has succeeded since: when and why.
    pub failure: Option<(SystemTime, String)>,
}

/// An upgrade that succeeded.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Done {
    /// When.
    pub at: SystemTime,
    /// The version before.
    pub from: String,
    /// Connections that went on.
    pub connections: u64,
    /// From the last byte that the old program carried to the first of the new one.
    pub pause: Duration,
}

impl History {
    /// One succeeded.
    pub fn succeeded(&mut self, done: Done) {
        self.done += 1;
        self.last = Some(done);
        self.failure = None;
    }

    /// One did not.
    pub fn failed(&mut self, now: SystemTime, why: String) {
        self.failed += 1;
        self.failure = Some((now, why));
    }

    /// For `/status`.
    #[must_use]
    pub fn json(&self) -> Value {
        let last = self.last.as_ref().map(|done| {
            json!({
                "at": rfc3339(done.at),
                "from": done.from,
                "connections": done.connections,
                "pauseSeconds": done.pause.as_secs_f64(),
            })
        });
        let failure = self.failure.as_ref();
        let failure = failure.map(|(at, why)| json!({"at": rfc3339(*at), "error": why}));
        json!({"done": self.done, "failed": self.failed, "last": last, "failure": failure})
    }

    /// For `/metrics`.
    pub fn metrics(&self, out: &mut Text) {
        let help = "Upgrades in place since the process began, by how they went.";
        out.counter("api_lb_upgrades_total", help)
            .sample(&[("result", "done")], self.done)
            .sample(&[("result", "failed")], self.failed);
        let last = self.last.as_ref();
        let help = "Connections that went on over the last upgrade.";
        out.gauge("api_lb_upgrade_connections", help)
            .sample(&[], last.map_or(0, |done| done.connections));
        let help = "How long nothing was carried in the last upgrade.";
        out.gauge("api_lb_upgrade_pause_seconds", help)
            .sample(&[], last.map_or(Duration::ZERO, |done| done.pause));
    }
}
