//! What is seen of signing from outside.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, SystemTime};

use daemon::metrics::{Histogram, NETWORK, Text};
use policy::Signer;
use serde_json::{Value, json};

use super::{Authorities, Ended, Tray};

#[derive(Default)]
struct Counts {
    ended: BTreeMap<(&'static str, &'static str), u64>,
    authorities: Arc<Authorities>,
    reload_failed: bool,
    tray: Option<Arc<Tray>>,
}

/// What signing shows.
pub struct Shown {
    counts: Mutex<Counts>,
    latency: Histogram,
}

impl Default for Shown {
    fn default() -> Self {
        Self {
            counts: Mutex::default(),
            latency: Histogram::new(NETWORK),
        }
    }
}

impl Shown {
    fn counts(&self) -> MutexGuard<'_, Counts> {
        // Counters are whole after every statement.
        self.counts.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// These sign what is in `tray`.
    pub fn signs(&self, authorities: &Arc<Authorities>, tray: &Arc<Tray>) {
        let mut counts = self.counts();
        counts.authorities = Arc::clone(authorities);
        counts.tray = Some(Arc::clone(tray));
    }

    /// The files of the authorities were read again.
    pub fn reload(&self, done: Result<(), ()>) {
        self.counts().reload_failed = done.is_err();
    }

    /// Signing ended, so long after its approval was seen.
    pub fn ended(&self, signer: Signer, ended: &Ended, after: Duration) {
        let key = (signer.name(), ended.name());
        *self.counts().ended.entry(key).or_default() += 1;
        if matches!(ended, Ended::Issued) {
            self.latency.observe(after);
        }
    }

    /// Adds to `/metrics`.
    pub fn metrics(&self, out: &mut Text) {
        let counts = self.counts();
        for ((signer, result), count) in &counts.ended {
            out.counter(
                "bootstrap_signer_signings_total",
                "Approved requests that were to be signed, by how it ended.",
            )
            .sample(&[("signer", signer), ("result", result)], *count);
        }
        let Some(tray) = &counts.tray else { return };
        let waiting = u64::try_from(tray.waiting()).unwrap_or(u64::MAX);
        out.gauge(
            "bootstrap_signer_unissued",
            "Approved requests without a certificate.",
        )
        .sample(&[], waiting);
        out.histogram(
            "bootstrap_signer_signing_seconds",
            "From an approval's being seen to its certificate's being written.",
        )
        .sample(&[], &self.latency);
        out.gauge(
            "bootstrap_signer_authority_reload_failed",
            "1 while files of an authority that changed cannot be used.",
        )
        .sample(&[], u64::from(counts.reload_failed));
        for (signer, authority) in counts.authorities.all() {
            // Two of one name are usual: kubeadm calls each of its own the same.
            let labels = [
                ("signer", signer.name()),
                ("authority", authority.name()),
                ("fingerprint", authority.fingerprint()),
            ];
            out.gauge(
                "bootstrap_signer_authority_expiry_timestamp_seconds",
                "When an authority's certificate ends, in seconds since 1970.",
            )
            .sample(&labels, since_epoch(authority.not_after()));
        }
    }

    /// For `/status`.
    pub fn status(&self) -> Value {
        let counts = self.counts();
        let now = SystemTime::now();
        let authorities = counts.authorities.all().map(|(signer, authority)| {
            let signing = counts.authorities.signing(signer, now);
            json!({
                "signer": signer.name(),
                "authority": authority.name(),
                "fingerprint": authority.fingerprint(),
                "notAfter": daemon::rfc3339(authority.not_after()),
                "signs": signing.is_some_and(|(one, _)| Arc::ptr_eq(one, authority)),
            })
        });
        let ended = counts.ended.iter().map(|((signer, result), count)| {
            json!({ "signer": signer, "result": result, "count": count })
        });
        json!({
            "authorities": authorities.collect::<Vec<_>>(),
            "reloadFailed": counts.reload_failed,
            "unissued": counts.tray.as_ref().map(|tray| tray.waiting()),
            "results": ended.collect::<Vec<_>>(),
        })
    }
}

fn since_epoch(time: SystemTime) -> Duration {
    time.duration_since(SystemTime::UNIX_EPOCH)
        .unwrap_or_default()
}
