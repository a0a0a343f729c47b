//! The end of hosts whose kubelets were to come in.

use std::collections::BTreeMap;
use std::sync::mpsc::SyncSender;

use super::super::progress::Event;
use super::super::served::Missing;
use super::planned::{Planned, Plans};
use super::returns;
use super::run::Run;
use super::site::Meant;
use super::token;

/// A host that was worked on, and whether its kubelet has come in.
pub(super) type Joined<'a> = (Planned<'a>, Result<(), Missing>);

impl Run<'_> {
    /// Nothing when a host is no newcomer any more.
    pub(super) fn joined(
        &self,
        worked: &mut Planned<'_>,
        events: &SyncSender<Event>,
    ) -> Result<(), Missing> {
        if self.meant == Meant::Shown {
            return Ok(());
        }
        let host = worked.site.host.name.as_str();
        let waits = |lacks: &str| self.waits(host, lacks, events);
        let stop = || self.interrupt.asked();
        token::has_joined(&mut worked.site, &token::PACE, &stop, waits)
    }

    /// Those that have come in, as far as they were to; the others have failed, for the reason that
    /// a master knows.
    pub(super) fn without_newcomers<'a>(
        &self,
        mut served: BTreeMap<String, Result<Joined<'a>, String>>,
        events: &SyncSender<Event>,
    ) -> Plans<'a> {
        let late = served.iter().filter_map(|(host, one)| {
            let (_, joined) = one.as_ref().ok()?;
            joined.is_err().then(|| host.clone())
        });
        let late: Vec<_> = late.collect();
        let why = late.into_iter().map(|host| {
            let all = served.values_mut().flatten();
            let why = returns::why(&host, all.map(|(worked, _)| worked));
            (host, why)
        });
        let mut why: BTreeMap<_, _> = why.collect();
        let ended = served.into_iter().map(|(host, one)| {
            let then = why.remove(&host).unwrap_or_default();
            let one = one.and_then(|(worked, joined)| {
                let told =
                    |missing: Missing| missing.told("joined", &format!("; {then}"));
                let joined = joined.map_err(told);
                joined.map_err(|error| self.failed(&host, error, events))?;
                Ok(worked)
            });
            (host, one)
        });
        ended.collect()
    }
}
