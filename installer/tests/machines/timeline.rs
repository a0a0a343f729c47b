//! When a run did what on which host: where its time went.

use std::collections::BTreeMap;
use std::fmt;
use std::time::{Duration, Instant};

use super::record::{Hosts, Kind};

/// What a run has said, and when.
pub(crate) struct Timeline {
    begun: Instant,
    hosts: BTreeMap<String, Vec<(Duration, String)>>,
}

impl Timeline {
    /// Of a run that begins.
    pub(crate) fn begin() -> Self {
        Self {
            begun: Instant::now(),
            hosts: BTreeMap::new(),
        }
    }

    /// A line of progress: `m1: start etcd.service`.
    pub(crate) fn note(&mut self, line: &str) {
        let Some((host, step)) = line.split_once(": ") else {
            return;
        };
        // What `check` warns of in the description.
        if host == "warning" {
            return;
        }
        let steps = self.hosts.entry(host.to_owned()).or_default();
        steps.push((self.begun.elapsed(), step.to_owned()));
    }

    /// How long each host did what, until all of it `took`.
    pub(crate) fn shares(&self, took: Duration) -> Hosts {
        let mut all = Hosts::new();
        for (host, steps) in &self.hosts {
            let sums = all.entry(host.clone()).or_default();
            let first = steps.first().map_or(took, |(at, _)| *at);
            sums.insert(Kind::Reached, first.as_secs_f64());
            let ends = steps.iter().skip(1).map(|(at, _)| *at).chain([took]);
            for ((at, step), end) in steps.iter().zip(ends) {
                let lasted = end.saturating_sub(*at);
                *sums.entry(Kind::of(step)).or_default() += lasted.as_secs_f64();
            }
        }
        all
    }
}

impl Kind {
    /// By the words of a step.
    fn of(step: &str) -> Self {
        let unit = ["start ", "restart ", "reload "]
            .into_iter()
            .find_map(|verb| step.strip_prefix(verb));
        let Some(unit) = unit else {
            let program = step.starts_with("install ") || step.starts_with("replace ");
            return if program { Self::Programs } else { Self::Files };
        };
        let ours = ["api-lb", "vip-daemon", "bootstrap-signer"];
        match unit {
            _ if unit.starts_with("etcd") => Self::Etcd,
            _ if unit.starts_with("kube-apiserver") => Self::Apiserver,
            _ if ours.iter().any(|name| unit.starts_with(name)) => Self::Daemons,
            _ => Self::Others,
        }
    }
}

impl fmt::Display for Timeline {
    /// A line a host: when its first step began, when programs did, and each start.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (host, steps) in &self.hosts {
            write!(f, "{host}:")?;
            let mut last = "";
            for (at, step) in steps {
                let word = step.split(' ').next().unwrap_or_default();
                let starts = matches!(word, "start" | "restart");
                if starts || word != last {
                    let what = if starts { step } else { word };
                    write!(f, " {:.1} {what};", at.as_secs_f64())?;
                }
                last = word;
            }
            writeln!(f)?;
        }
        Ok(())
    }
}
