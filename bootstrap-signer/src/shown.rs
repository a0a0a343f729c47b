//! What is seen from outside: `/readyz`, `/status`, `/metrics`.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant, SystemTime};

use daemon::admin::{CommandError, Surface};
use daemon::metrics::{Histogram, NETWORK, Text};
use futures_util::future::BoxFuture;
use policy::{Signer, Verdict};
use serde_json::{Value, json};

use crate::book::{Book, Kind};
use crate::certificates::{Certificates, Validity};
use crate::{signing, tokens};

#[derive(Default)]
struct Counts {
    decisions: BTreeMap<(String, &'static str, &'static str), u64>,
    failures: BTreeMap<&'static str, u64>,
    dropped_events: u64,
    pending: usize,
    oldest: Option<SystemTime>,
    crowded: usize,
    missing: Vec<&'static str>,
    objects: BTreeMap<&'static str, usize>,
    strangers: BTreeMap<String, u64>,
    certificates: Certificates,
    /// When the daemon's own certificate ends.
    own_until: Option<SystemTime>,
    credentials_failed: bool,
}

/// What the desk shows.
pub struct Shown {
    /// What signing shows.
    pub signing: signing::Shown,
    /// What looking after tokens shows.
    pub tokens: tokens::Shown,
    counts: Mutex<Counts>,
    latency: Histogram,
}

impl Default for Shown {
    fn default() -> Self {
        let missing = Kind::ALL.iter().map(|kind| kind.name()).collect();
        Self {
            signing: signing::Shown::default(),
            tokens: tokens::Shown::default(),
            counts: Mutex::new(Counts {
                missing,
                ..Counts::default()
            }),
            latency: Histogram::new(NETWORK),
        }
    }
}

impl Shown {
    fn counts(&self) -> MutexGuard<'_, Counts> {
        // Counters are whole after every statement.
        self.counts.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// How the book stands.
    pub fn standing(&self, book: &Book) {
        let (pending, oldest) = book.pending();
        let mut counts = self.counts();
        counts.pending = pending;
        counts.oldest = oldest;
        counts.crowded = book.crowded();
        for kind in Kind::ALL {
            counts.objects.insert(kind.name(), book.count(kind));
        }
        if !counts.missing.is_empty() {
            counts.missing = book.missing();
        }
    }

    /// A decision was made.
    pub fn decided(&self, signer: &str, verdict: &Verdict) {
        let (decision, reason) = (verdict.decision().name(), verdict.reason.name());
        let key = (signer.to_owned(), decision, reason);
        *self.counts().decisions.entry(key).or_default() += 1;
    }

    /// Somebody else decided about a request of our signers.
    pub fn stranger(&self, who: &str) {
        let mut counts = self.counts();
        *counts.strangers.entry(who.to_owned()).or_default() += 1;
    }

    /// A certificate was issued.
    pub fn issued(&self, signer: Signer, node: &str, validity: Validity) {
        self.counts().certificates.issued(signer, node, validity);
    }

    /// The daemon's own credentials were read; with when their certificate ends.
    pub fn credentials(&self, read: Result<Option<SystemTime>, ()>) {
        let mut counts = self.counts();
        counts.credentials_failed = read.is_err();
        if let Ok(until) = read {
            counts.own_until = until;
        }
    }

    /// A Node is gone.
    pub fn node_gone(&self, node: &str) {
        self.counts().certificates.gone(node);
    }

    /// These Nodes are all there are.
    pub fn only_nodes(&self, nodes: &BTreeSet<String>) {
        self.counts().certificates.only(nodes);
    }

    /// A decision was written, about a request first seen at `since`.
    pub fn written(&self, since: Option<Instant>) {
        if let Some(since) = since {
            self.latency.observe(since.elapsed());
        }
    }

    /// An act failed.
    pub fn failed(&self, act: &'static str) {
        *self.counts().failures.entry(act).or_default() += 1;
    }

    /// An Event was not sent.
    pub fn dropped_event(&self) {
        self.counts().dropped_events += 1;
    }
}

fn strangers(counts: &Counts, out: &mut Text) {
    for (who, count) in &counts.strangers {
        out.counter(
            "bootstrap_signer_foreign_decisions_total",
            "Requests of our signers that another program decided about.",
        )
        .sample(&[("approver", who)], *count);
    }
}

fn credentials(counts: &Counts, out: &mut Text) {
    out.gauge(
        "bootstrap_signer_credentials_reload_failed",
        "1 while the daemon's own credentials changed and cannot be used.",
    )
    .sample(&[], u64::from(counts.credentials_failed));
    if let Some(until) = counts.own_until {
        let at = until.duration_since(SystemTime::UNIX_EPOCH);
        out.gauge(
            "bootstrap_signer_credentials_expiry_timestamp_seconds",
            "When the daemon's own client certificate ends, in seconds since 1970.",
        )
        .sample(&[], at.unwrap_or_default());
    }
}

fn certificates(all: &Certificates, out: &mut Text) {
    let number = |count: usize| u64::try_from(count).unwrap_or(u64::MAX);
    for signer in Signer::ALL {
        let standing = all.standing(signer, SystemTime::now());
        let labels = [("signer", signer.name())];
        out.gauge(
            "bootstrap_signer_certificates",
            "Nodes whose certificate was seen issued.",
        )
        .sample(&labels, number(standing.known));
        out.gauge(
            "bootstrap_signer_certificates_expiring",
            "Those of them in the last tenth of their time: their kubelet did not renew.",
        )
        .sample(&labels, number(standing.late));
        if let Some(first) = standing.first {
            let at = first.duration_since(SystemTime::UNIX_EPOCH);
            out.gauge(
                "bootstrap_signer_certificate_first_expiry_timestamp_seconds",
                "When the first of them ends.",
            )
            .sample(&labels, at.unwrap_or_default().as_secs());
        }
    }
}

fn age(oldest: Option<SystemTime>) -> Duration {
    let age = oldest.map(|at| SystemTime::now().duration_since(at));
    age.and_then(Result::ok).unwrap_or_default()
}

impl Surface for Shown {
    fn alive(&self) -> bool {
        true
    }

    fn ready(&self) -> Result<(), String> {
        match self.counts().missing.as_slice() {
            [] => Ok(()),
            missing => Err(format!("not seen yet: {}", missing.join(", "))),
        }
    }

    fn metrics(&self, out: &mut Text) {
        let counts = self.counts();
        for ((signer, decision, reason), count) in &counts.decisions {
            let labels = [
                ("signer", signer.as_str()),
                ("decision", decision),
                ("reason", reason),
            ];
            out.counter(
                "bootstrap_signer_decisions_total",
                "Decisions, one for each new reason of a request.",
            )
            .sample(&labels, *count);
        }
        for (act, count) in &counts.failures {
            out.counter(
                "bootstrap_signer_failures_total",
                "Acts at the API server that failed and are tried again.",
            )
            .sample(&[("act", act)], *count);
        }
        strangers(&counts, out);
        certificates(&counts.certificates, out);
        credentials(&counts, out);
        out.counter(
            "bootstrap_signer_events_dropped_total",
            "Events not sent for want of time.",
        )
        .sample(&[], counts.dropped_events);
        for (kind, count) in &counts.objects {
            out.gauge("bootstrap_signer_objects", "Objects known, by kind.")
                .sample(&[("kind", kind)], u64::try_from(*count).unwrap_or(u64::MAX));
        }
        out.gauge("bootstrap_signer_pending", "Requests nobody decided on.")
            .sample(&[], u64::try_from(counts.pending).unwrap_or(u64::MAX));
        out.gauge(
            "bootstrap_signer_crowded_requesters",
            "Requesters with more requests than are held; the rest is read later.",
        )
        .sample(&[], u64::try_from(counts.crowded).unwrap_or(u64::MAX));
        out.gauge(
            "bootstrap_signer_pending_oldest_seconds",
            "Age of the oldest of them.",
        )
        .sample(&[], age(counts.oldest));
        out.histogram(
            "bootstrap_signer_decision_seconds",
            "From a request's being seen to its decision's being written.",
        )
        .sample(&[], &self.latency);
        self.signing.metrics(out);
        self.tokens.metrics(out);
    }

    fn status(&self) -> Value {
        let counts = self.counts();
        let decisions: Vec<Value> = counts
            .decisions
            .iter()
            .map(|((signer, decision, reason), count)| {
                json!({
                    "signer": signer, "decision": decision, "reason": reason,
                    "count": count,
                })
            })
            .collect();
        json!({
            "pending": counts.pending,
            "crowdedRequesters": counts.crowded,
            "oldestPending": counts.oldest.map(daemon::rfc3339),
            "notSeenYet": counts.missing,
            "objects": counts.objects,
            "decisions": decisions,
            "credentials": {
                "reloadFailed": counts.credentials_failed,
                "until": counts.own_until.map(daemon::rfc3339),
            },
            "signing": self.signing.status(),
        })
    }

    fn commands(&self) -> &'static [&'static str] {
        &[]
    }

    fn command(
        &self,
        name: &str,
        _: Value,
    ) -> BoxFuture<'_, Result<Value, CommandError>> {
        let error = CommandError::NotFound(format!("there is no command {name:?}"));
        Box::pin(std::future::ready(Err(error)))
    }
}
