//! When a run did what on which host: where its time went.

use std::collections::BTreeMap;
use std::fmt;
use std::time::{Duration, Instant};

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
