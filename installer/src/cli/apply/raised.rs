//! Members of etcd that come up together or not at all: asked and told before the first host is
//! begun; decided in `apply/stands.rs`.

use std::collections::BTreeMap;
use std::mem;
use std::sync::mpsc::SyncSender;

use super::super::progress::Event;
use super::super::served;
use super::planned::{Planned, Plans};
use super::run::{Run, Work};
use super::site::{Meant, Sites};
use super::stands;
use crate::apply::{self, Member, Part};
use crate::spec::{Etcd, Host, Role};

/// What is said while etcd may only be about to elect a leader.
const DOWN: &str = "etcd has no majority that takes a write";

impl Run<'_> {
    /// A host on which nothing has ended by which members of etcd know each other, and us: a member
    /// reads it whenever it meets another, and what has ended serves nobody. With what is left of
    /// its plan.
    pub(super) fn renewed<'a>(
        &self,
        mut planned: Planned<'a>,
        events: &SyncSender<Event>,
    ) -> Result<Planned<'a>, String> {
        let ended = planned.plan.steps.iter().any(apply::renews_member);
        if self.meant == Meant::Shown || !ended {
            return Ok(planned);
        }
        let steps = mem::take(&mut planned.plan.steps);
        let (ended, left): (Vec<_>, Vec<_>) =
            steps.into_iter().partition(apply::renews_member);
        planned.plan.steps = ended;
        // What is left comes after them.
        let behind = planned.behind.clone();
        planned.behind.splice(0..0, left.iter().cloned());
        self.host(&mut planned, Work::Ahead, events)?;
        planned.behind = behind;
        planned.before += planned.plan.steps.len();
        planned.plan.steps = left;
        Ok(planned)
    }

    /// Whether etcd lies down, where a member is to be started anew. What has just begun elsewhere
    /// is given a moment.
    pub(super) fn etcd_lies_down(
        &self,
        planned: &mut Plans<'_>,
        events: &SyncSender<Event>,
    ) -> bool {
        let mut anew = planned.values().flatten().filter(|one| raises(one));
        let first = anew.next().map(|one| one.site.host.name.clone());
        let Some(first) = first.filter(|_| self.concerned()) else {
            return false;
        };
        let down = || {
            let takes = self.takes(planned);
            let members = self.cluster.with(Role::Etcd).map(|host| {
                let plan = planned.get(&host.name).and_then(|one| one.as_ref().ok());
                let takes = takes.get(host.name.as_str()).copied();
                Member::of(plan.map(|one| &one.plan), takes)
            });
            let down = apply::lies_down(&members.collect::<Vec<_>>());
            (down && !self.is_read(planned)).then(|| DOWN.to_owned())
        };
        let waits = |why: &str| self.waits(&first, why, events);
        let stop = || self.interrupt.asked();
        served::until(&stands::PACE, &stop, waits, down).is_err()
    }

    /// Whether an API server is ready: where a member only has an alarm, or is slow to write, etcd
    /// is read, and that would end.
    fn is_read(&self, planned: &mut Plans<'_>) -> bool {
        let masters = planned.values_mut().flatten();
        let mut masters = masters.filter(|one| one.site.host.is(Role::ControlPlane));
        masters.next().is_some_and(|one| {
            let told = stands::servers(&mut one.site.way, self.cluster);
            told.iter().any(|(_, ready)| *ready)
        })
    }

    fn concerned(&self) -> bool {
        self.meant == Meant::Done && self.cluster.etcd == Etcd::Hosts
    }

    /// Whether members take a write to any host that can ask; none is asked behind one that sees
    /// enough of them.
    fn takes(&self, planned: &mut Plans<'_>) -> BTreeMap<&str, bool> {
        let mut takes = BTreeMap::new();
        for one in planned.values_mut().flatten() {
            if !one.site.host.is(Role::Etcd) || !apply::can_ask(&one.plan) {
                continue;
            }
            let told = stands::members(&mut one.site.way, self.cluster);
            for (name, well) in told.unwrap_or_default() {
                *takes.entry(name).or_insert(false) |= well;
            }
            let members = takes.values().map(|well| Member::of(None, Some(*well)));
            let members: Vec<_> = members.collect();
            if !members.is_empty() && !apply::lies_down(&members) {
                break;
            }
        }
        takes
    }

    /// Members that would find too few others, by their hosts' names: what those show has ended,
    /// too, and they are left out.
    pub(super) fn alone(
        &self,
        planned: &Plans<'_>,
        apart: &mut Sites<'_>,
    ) -> BTreeMap<String, String> {
        let member = |one: &&Planned<'_>| one.site.host.is(Role::Etcd);
        let of = |one: &Planned<'_>| Member::of(Some(&one.plan), None);
        let members: Vec<_> = planned.values().flatten().filter(member).collect();
        let has_ended = members.iter().any(|one| of(one) == Member::Ended);
        if self.cluster.etcd != Etcd::Hosts || !has_ended {
            return BTreeMap::new();
        }
        let others = self.cluster.with(Role::Etcd);
        let others = others.filter(|host| {
            let planned = planned.get(&host.name);
            !planned.is_some_and(Result::is_ok)
        });
        let left: Vec<_> = others.map(|host| (host, self.left(host, apart))).collect();
        let all: Vec<_> = left.iter().map(|(_, member)| *member).collect();
        if !apply::too_few(members.len(), &all) {
            return BTreeMap::new();
        }
        let ended = left.iter().filter(|(_, member)| *member == Member::Ended);
        let names: Vec<_> = ended.map(|(host, _)| host.name.as_str()).collect();
        let why = format!(
            "not begun: the certificates by which etcd's members know each other have ended, also \
             on {}, and no member comes up alone: leave --host out, or add --host {}",
            names.join(", "),
            names.join(" --host ")
        );
        let names = members.iter().map(|one| one.site.host.name.clone());
        names.map(|host| (host, why.clone())).collect()
    }

    /// What a member is that is left as it is; one of which nothing is known may come up yet.
    fn left(&self, host: &Host, apart: &mut Sites<'_>) -> Member {
        let site = apart.get_mut(&host.name);
        let planned = site.and_then(|site| self.plan(site).ok());
        match planned {
            Some((_, _, plan)) => Member::of(Some(&plan), None),
            None => Member::Ill,
        }
    }
}

fn raises(one: &Planned<'_>) -> bool {
    Part::Interrupts.with_etcd_down(&one.plan) == Part::Raises
}
