//! What hosts do when the others have done what they are to do: a vip-daemon is started where all
//! others tell it of their addresses, and where nodes look for the API is let go of when they have
//! gone over.

use std::collections::{BTreeMap, BTreeSet};
use std::mem;
use std::sync::mpsc::SyncSender;

use super::super::progress::Event;
use super::guards::hosts;
use super::planned::{Planned, Plans};
use super::run::{Run, each};
use super::site::{Meant, Sites};
use super::turns::Turns;
use crate::apply::{self, Part, endpoint};
use crate::plan::{Plan, Step};
use crate::spec::Role;

impl Run<'_> {
    /// Puts off what others have to be ready for. What those that are left out would have to be
    /// ready for is left out, too: `apart` answer and are not worked on.
    pub(super) fn put_off(
        &self,
        planned: &mut Plans<'_>,
        apart: &mut Sites<'_>,
        events: &SyncSender<Event>,
    ) {
        let one_goes = hosts(planned).any(|one| self.goes(one));
        let starts = hosts(planned).any(|one| endpoint::takes_address(&one.plan));
        let left_out = match starts {
            true => self.unheard(apart),
            false => Vec::new(),
        };
        let unheard = hosts(planned).any(|one| endpoint::is_unheard(&one.plan));
        for one in planned.values_mut().flatten() {
            if endpoint::takes_address(&one.plan) {
                let name = &one.site.host.name;
                match (left_out.as_slice(), unheard) {
                    ([], false) => {}
                    ([], true) => {
                        one.behind.extend(endpoint::without_address(&mut one.plan));
                    }
                    // It is to be done, and who runs it is told why it is not.
                    (_, _) if self.meant == Meant::Shown => {}
                    (all, _) => {
                        let _left = endpoint::without_address(&mut one.plan);
                        self.waits(name, &unheard_of(all), events);
                    }
                }
            }
            if one_goes && !self.goes(one) {
                one.behind.extend(endpoint::without_removal(&mut one.plan));
            }
        }
    }

    /// The masters whose vip-daemons do not tell all described ones of their addresses.
    fn unheard(&self, apart: &mut Sites<'_>) -> Vec<String> {
        let masters = apart.iter_mut();
        let masters = masters.filter(|(_, site)| site.host.is(Role::ControlPlane));
        let unheard = masters.filter_map(|(name, site)| {
            let (_, _, plan) = self.plan(site).ok()?;
            endpoint::is_unheard(&plan).then(|| name.clone())
        });
        unheard.collect()
    }

    /// Does what was put off, where all of `awaited` that were worked on are as they are to be.
    pub(super) fn behind<'a>(
        &self,
        worked: BTreeMap<String, Result<Planned<'a>, String>>,
        awaited: &BTreeSet<String>,
        events: &SyncSender<Event>,
    ) -> BTreeMap<String, Result<Planned<'a>, String>> {
        let mut failed = worked.iter().filter(|(_, one)| one.is_err());
        let failed = failed.find(|(name, _)| awaited.contains(*name));
        let failed = failed.map(|(name, _)| name.clone());
        let parts = self.cluster.hosts.iter().filter_map(|host| {
            let one = worked.get(&host.name)?.as_ref().ok()?;
            let plan = Plan {
                host: host.name.clone(),
                steps: one.behind.clone(),
            };
            Some((host.name.clone(), Part::of(host, &plan)))
        });
        let turns = Turns::new(apply::Turns::of(parts));
        each(worked, |worked| {
            let planned = worked?;
            let host = planned.site.host.name.clone();
            let done = self.then(planned, failed.as_deref(), &turns, events);
            done.map_err(|error| self.failed(&host, error, events))
        })
    }

    fn then<'a>(
        &self,
        mut planned: Planned<'a>,
        failed: Option<&str>,
        turns: &Turns,
        events: &SyncSender<Event>,
    ) -> Result<Planned<'a>, String> {
        let behind = mem::take(&mut planned.behind);
        if behind.is_empty() {
            return Ok(planned);
        }
        if self.meant == Meant::Shown {
            planned.plan.steps.extend(behind);
            return Ok(planned);
        }
        if let Some(failed) = failed {
            return Err(put_off(failed, &behind));
        }
        let mut steps = mem::replace(&mut planned.plan.steps, behind);
        let ahead = planned.before;
        planned.before += steps.len();
        let mut planned = self.in_turn(planned, turns, events)?;
        steps.append(&mut planned.plan.steps);
        planned.before = ahead;
        planned.plan.steps = steps;
        Ok(planned)
    }
}

fn unheard_of(masters: &[String]) -> String {
    format!(
        "vip-daemon.service is not started here before {} tell it of their addresses: \"sternpost \
         apply\" without --host has it so",
        masters.join(", ")
    )
}

/// Why what was put off stays so.
fn put_off(failed: &str, steps: &[Step]) -> String {
    let lines = steps.iter().map(crate::plan::line);
    let lines: Vec<_> = lines.collect();
    format!(
        "every other step is done, and these are not begun, since {failed} failed, which has to be \
         ready for them; mend {failed} and apply again: {}",
        lines.join(", ")
    )
}
