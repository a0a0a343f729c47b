//! Hosts that are to come in and whose name the API knows: before the first is begun, by a master
//! that answers, and in the end, when one has not come in.

use std::collections::BTreeMap;
use std::sync::mpsc::SyncSender;

use super::super::progress::Event;
use super::super::reach;
use super::planned::{Planned, Plans};
use super::run::Run;
use super::site::{Meant, Sites};
use crate::agent::{Order, Question};
use crate::apply::{Answered, Asked, Left, REQUESTS, Stale, Standing, Transport};
use crate::layout;
use crate::plan::{Change, Plan, Step};
use crate::render::Newcomers;
use crate::spec::{Host, Role};
use crate::transport::{Piped, asked};

impl Run<'_> {
    /// Why hosts whose Node stands are not begun, by their names. Where the Node is to go it is
    /// deleted; those of `against` are not begun anyway.
    pub(super) fn taken(
        &self,
        planned: &mut Plans<'_>,
        apart: &mut Sites<'_>,
        against: &BTreeMap<String, String>,
        events: &SyncSender<Event>,
    ) -> BTreeMap<String, String> {
        let new = planned.values().flatten();
        let new = new.filter(|one| one.site.newcomer == Newcomers::Expected);
        let hosts: Vec<_> = new.map(|one| (one.site.host, left(&one.plan))).collect();
        let free = |(host, _): &(&Host, Left)| !against.contains_key(&host.name);
        let hosts: Vec<_> = hosts.into_iter().filter(free).collect();
        let mut taken = BTreeMap::new();
        if let Some(master) = answering(masters(planned, apart)) {
            let all = hosts.into_iter().filter_map(|(host, left)| {
                let why = self.let_in(host, left, master, events).err()?;
                Some((host.name.clone(), why))
            });
            taken.extend(all);
        }
        // A kubelet that an earlier run has started may have come in since the first look.
        taken.retain(|name, _| {
            let planned = planned.get_mut(name).and_then(|one| one.as_mut().ok());
            let machine = planned.map(|one| reach::machine(&mut one.site.way));
            !machine.is_some_and(|one| one.is_ok_and(|machine| machine.joined))
        });
        taken
    }

    /// Makes room for a host, as far as that is asked for. Where no API answers nothing is known of
    /// it: it may be the first cluster.
    fn let_in(
        &self,
        host: &Host,
        left: Left,
        master: &mut Piped,
        events: &SyncSender<Event>,
    ) -> Result<(), String> {
        let list = match told(&mut [&mut *master], &Standing::path(&host.name)) {
            Some((_, list)) => list,
            None => return Ok(()),
        };
        if let Some(standing) = Standing::listed(&list, &host.name) {
            let stale = match self.replaced.contains(&host.name) {
                true => Stale::Goes,
                false => Stale::Stays,
            };
            let gives_way = standing.gives_way(host, stale, left);
            gives_way.map_err(|taken| taken.to_string())?;
            if self.meant == Meant::Done {
                let node = host.name.clone();
                self.tell(events, Event::Replaces { host: node });
                deleted(master, format!("/api/v1/nodes/{}", host.name))?;
            }
        }
        match self.meant {
            Meant::Done => asks_anew(master, host),
            Meant::Shown => Ok(()),
        }
    }
}

/// Whether a kubelet of ours is there already.
fn left(plan: &Plan) -> Left {
    let unit = format!("{}/kubelet.service", layout::UNITS);
    let brought = |step: &Step| match step {
        Step::Write { path, change, .. } => *path == unit && *change == Change::New,
        Step::Folder { .. }
        | Step::Keep { .. }
        | Step::Issue { .. }
        | Step::Share { .. }
        | Step::Install { .. }
        | Step::Enable { .. }
        | Step::Start { .. }
        | Step::Restart { .. }
        | Step::Reload { .. }
        | Step::Remove { .. } => false,
    };
    match plan.steps.iter().any(brought) {
        true => Left::Nothing,
        false => Left::Pods,
    }
}

/// A kubelet asks by the same request until that is gone: one that was denied while the Node stood
/// would keep it out.
fn asks_anew(master: &mut Piped, host: &Host) -> Result<(), String> {
    let (_, list) = told(&mut [master], REQUESTS).unzip();
    let all = list.map(|list| Asked::listed(&list, &host.name));
    for one in all.unwrap_or_default() {
        if matches!(one.answered, Answered::Denied(_)) {
            deleted(master, one.path())?;
        }
    }
    Ok(())
}

fn deleted(master: &mut Piped, path: String) -> Result<(), String> {
    let done = asked::done(master, Order::Delete(path));
    done.map_err(|error| format!("not begun: {error}"))
}

/// Why a host's kubelet has no certificate, as a master knows it.
pub(super) fn why<'a, 'b: 'a>(
    host: &str,
    masters: impl Iterator<Item = &'a mut Planned<'b>>,
) -> String {
    let masters = masters.filter(|one| one.site.host.is(Role::ControlPlane));
    let mut ways: Vec<_> = masters.map(|one| &mut one.site.way).collect();
    match told(&mut ways, REQUESTS) {
        Some((_, list)) => Asked::told(Asked::listed(&list, host).last()),
        None => "no API server that was asked says what became of its request".to_owned(),
    }
}

/// The ways to masters.
fn masters<'a>(
    planned: &'a mut Plans<'_>,
    apart: &'a mut Sites<'_>,
) -> Vec<&'a mut Piped> {
    let master = |host: &Host| host.is(Role::ControlPlane);
    let known = planned.values_mut().flatten();
    let known = known.filter(|one| master(one.site.host));
    let others = apart.values_mut().filter(|site| master(site.host));
    let ways = known.map(|one| &mut one.site.way);
    ways.chain(others.map(|site| &mut site.way)).collect()
}

/// The way to the first whose API server answers.
fn answering(ways: Vec<&mut Piped>) -> Option<&mut Piped> {
    let any = Standing::path("");
    ways.into_iter().find_map(|way| {
        let (server, path) = (None, any.clone());
        reach::told(way, Question::Api { server, path }).ok()?;
        Some(way)
    })
}

/// What the first API server that answers says, and the way to it.
fn told<'a, T: Transport>(
    ways: &'a mut [&mut T],
    path: &str,
) -> Option<(&'a mut T, serde_json::Value)> {
    ways.iter_mut().find_map(|way| {
        let (server, path) = (None, path.to_owned());
        let said = reach::told(*way, Question::Api { server, path }).ok()?;
        Some((&mut **way, said))
    })
}
