//! How long the machine, and not what is tested, held up a scene.

use std::collections::BTreeMap;
use std::time::Duration;

use nix::unistd::{Pid, getpid};

use super::proxy::Proxy;
use super::stage::Stage;
use crate::starved::Waited;

/// What everybody on a stage had waited for a core at some moment.
#[derive(Debug)]
pub struct Mark(BTreeMap<Pid, Waited>);

impl Mark {
    /// Now.
    #[must_use]
    pub fn now(stage: &Stage, proxy: &Proxy) -> Self {
        let all = stage.running().into_iter();
        let all = all.chain([proxy.pid(), getpid()]);
        Self(all.map(|pid| (pid, Waited::of(pid))).collect())
    }

    /// What has been waited since, of each the thread that waited longest, added up: an answer
    /// is the doing of one after the other.
    #[must_use]
    pub fn stalled(&self, stage: &Stage, proxy: &Proxy) -> Duration {
        let Self(now) = Self::now(stage, proxy);
        let fresh = Waited::default();
        let each = now.iter().map(|(pid, waited)| {
            let before = self.0.get(pid).unwrap_or(&fresh);
            waited.since(before)
        });
        each.sum()
    }
}
