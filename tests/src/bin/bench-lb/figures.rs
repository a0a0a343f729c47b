//! What one run gives: the figures, and what was spent for them.

use std::io;
use std::time::{Duration, Instant};

use lab::load::histogram::Histogram;
use lab::load::usage;
use serde::{Deserialize, Serialize};

use crate::peer::Proxy;

/// What one run of a row gave. Absent is what the row does not measure.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(crate) struct Figures {
    /// How long it was measured, in seconds.
    pub(crate) seconds: f64,
    /// Answers, or bytes, in that time.
    pub(crate) count: f64,
    /// CPU seconds of the proxy in that time.
    pub(crate) proxy_cpu: f64,
    /// CPU seconds of all cores in that time.
    pub(crate) machine_cpu: f64,
    /// Microseconds, of those rows that have latencies.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) p50: Option<f64>,
    /// As `p50`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) p99: Option<f64>,
    /// As `p50`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) p999: Option<f64>,
    /// Microseconds for which the generator itself did not run.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) away: Option<f64>,
    /// Bytes of user memory that each idle connection costs.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) memory: Option<f64>,
    /// Connections or requests that failed.
    pub(crate) failed: u64,
}

/// What was spent at one moment.
pub(crate) struct Spent {
    at: Instant,
    proxy: Duration,
    machine: Duration,
}

impl Spent {
    /// By this proxy and by all cores, until now.
    pub(crate) fn by(proxy: &Proxy) -> io::Result<Self> {
        Ok(Self {
            at: Instant::now(),
            proxy: proxy.pid().map_or(Ok(Duration::ZERO), usage::cpu_of)?,
            machine: usage::cpu_of_machine()?,
        })
    }

    /// What was spent since, for so many answers or bytes.
    pub(crate) fn until(&self, after: &Self, count: u64) -> Figures {
        Figures {
            seconds: (after.at - self.at).as_secs_f64(),
            count: as_f64(count),
            proxy_cpu: after.proxy.saturating_sub(self.proxy).as_secs_f64(),
            machine_cpu: after.machine.saturating_sub(self.machine).as_secs_f64(),
            ..Figures::default()
        }
    }
}

impl Figures {
    /// Adds the quantiles of these latencies.
    pub(crate) fn latencies(&mut self, latencies: &Histogram) {
        if !latencies.is_empty() {
            self.p50 = Some(micros(latencies.quantile(500)));
            self.p99 = Some(micros(latencies.quantile(990)));
            self.p999 = Some(micros(latencies.quantile(999)));
        }
    }
}

/// Nanoseconds as microseconds.
pub(crate) fn micros(nanos: u64) -> f64 {
    as_f64(nanos) / 1000.0
}

/// A count as a figure.
#[expect(clippy::cast_precision_loss, reason = "counts stay far below 2^52")]
pub(crate) fn as_f64(count: u64) -> f64 {
    count as f64
}
