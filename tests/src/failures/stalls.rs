//! How long the machine, and not what is tested, held up a scene.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use nix::unistd::{Pid, getpid};

use super::proxy::Proxy;
use super::stage::Stage;
use crate::error::LabError;
use crate::stalls::Stalls;
use crate::starved::Waited;

/// A moment, what everybody on a stage had waited for a core by then, and a look at the cores
/// from then on.
#[derive(Debug)]
pub struct Mark {
    at: Instant,
    waited: BTreeMap<Pid, Waited>,
    stalls: Stalls,
}

impl Mark {
    /// Now.
    ///
    /// # Errors
    /// When the cores cannot be looked at.
    pub fn now(stage: &Stage, proxy: &Proxy) -> Result<Self, LabError> {
        Ok(Self {
            stalls: Stalls::begin()?,
            at: Instant::now(),
            waited: waited(stage, proxy),
        })
    }

    /// What has been waited since, of each the thread that waited longest, and for how long
    /// cores stood still, added up: an answer is the doing of one after the other.
    #[must_use]
    pub fn stalled(&self, stage: &Stage, proxy: &Proxy) -> Duration {
        let now = waited(stage, proxy);
        let fresh = Waited::default();
        let each = now.iter().map(|(pid, waited)| {
            let before = self.waited.get(pid).unwrap_or(&fresh);
            waited.since(before)
        });
        each.sum::<Duration>() + self.stalls.since(self.at)
    }
}

fn waited(stage: &Stage, proxy: &Proxy) -> BTreeMap<Pid, Waited> {
    let all = stage.running().into_iter();
    let all = all.chain([proxy.pid(), getpid()]);
    all.map(|pid| (pid, Waited::of(pid))).collect()
}
