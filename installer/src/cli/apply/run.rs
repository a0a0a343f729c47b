//! The work on all hosts at once: each is planned and done by itself, and then every api-lb has
//! its servers. What happens is told as it does.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::ControlFlow;
use std::sync::mpsc::{self, SyncSender};
use std::thread;
use std::time::SystemTime;

use daemon::chain;

use super::super::interrupt::Interrupt;
use super::super::outcome::Outcomes;
use super::super::progress::{self, Event, Look};
use super::super::record::Record;
use super::super::served::{self, Pace};
use super::site::Site;
use crate::agent::{Order, Put};
use crate::apply::{self, ApplyError, Material, Target, Transport};
use crate::plan::{self, Plan};
use crate::render;
use crate::resource::Resource;
use crate::spec::{Cluster, Role};
use crate::stock::Stock;
use crate::transport::asked;

/// A host on which every step is done.
struct Worked<'a> {
    site: Site<'a>,
    plan: Plan,
    /// An api-lb runs there.
    balances: bool,
}

/// What all hosts are worked on with.
pub(super) struct Run<'a> {
    pub(super) cluster: &'a Cluster,
    pub(super) stock: &'a Stock,
    pub(super) material: &'a Material,
    pub(super) interrupt: Interrupt,
    pub(super) dry_run: bool,
}

impl Run<'_> {
    /// All hosts at once; then every api-lb has its servers, those of the hosts that were
    /// finished. What happens is shown as it does.
    pub(super) fn work(
        &self,
        look: Look,
        record: Option<Record>,
        sites: BTreeMap<String, Site<'_>>,
    ) -> Outcomes {
        // Each host sends a line a step; the printer takes them as fast as a terminal does.
        let (events, shown) = mpsc::sync_channel(64);
        thread::scope(|scope| {
            scope.spawn(move || progress::show(look, &shown, record));
            let worked = each(sites, |site| {
                let host = site.host.name.clone();
                let worked = self.host(site, &events);
                worked.map_err(|error| self.failed(&host, error, &events))
            });
            let servers = self.servers(&worked);
            let served = each(worked, |worked| {
                let Worked { site, plan, .. } =
                    self.served(worked?, &servers, &events)?;
                let (host, steps) = (site.host.name.clone(), plan.steps.len());
                self.tell(&events, Event::Done { host, steps });
                Ok(plan)
            });
            drop(events);
            served
        })
    }

    /// The API servers that every api-lb has to have in the end; none when nothing was done.
    fn servers(
        &self,
        worked: &BTreeMap<String, Result<Worked<'_>, String>>,
    ) -> BTreeSet<String> {
        let finished = || worked.values().flatten();
        if self.dry_run || finished().all(|one| one.plan.steps.is_empty()) {
            return BTreeSet::new();
        }
        let masters = finished().filter(|one| one.site.host.is(Role::ControlPlane));
        masters.map(|one| one.site.host.name.clone()).collect()
    }

    /// A host whose api-lb has those servers, or has none to have.
    fn served<'a>(
        &self,
        mut worked: Worked<'a>,
        servers: &BTreeSet<String>,
        events: &SyncSender<Event>,
    ) -> Result<Worked<'a>, String> {
        if worked.balances && !servers.is_empty() {
            let host = &worked.site.host.name;
            let waits = |waits_for: &str| {
                let (host, waits_for) = (host.clone(), waits_for.to_owned());
                self.tell(events, Event::Waits { host, waits_for });
            };
            let stop = || self.interrupt.asked();
            let way = &mut worked.site.way;
            served::served(way, servers, &Pace::default(), &stop, waits)
                .map_err(|error| self.failed(host, error, events))?;
        }
        Ok(worked)
    }

    fn failed(&self, host: &str, error: String, events: &SyncSender<Event>) -> String {
        let (host, said) = (host.to_owned(), error.clone());
        self.tell(events, Event::Failed { host, error: said });
        error
    }

    fn tell(&self, events: &SyncSender<Event>, event: Event) {
        if !self.dry_run {
            // The printer outlives every sender.
            let _ = events.send(event);
        }
    }

    fn host<'a>(
        &self,
        mut site: Site<'a>,
        events: &SyncSender<Event>,
    ) -> Result<Worked<'a>, String> {
        let wanted = render::host(self.cluster, site.host, &site.known);
        let programs = self.stock.programs(site.architecture);
        let target = Target {
            cluster: self.cluster,
            host: &site.host.name,
            wanted: &wanted,
            programs: &programs,
            now: SystemTime::now(),
        };
        let failed = |error: ApplyError| chain(&error);
        let plan = target.plan(self.material, &mut site.way).map_err(failed)?;
        if !self.dry_run {
            if site.host.is(Role::ControlPlane) && !plan.steps.is_empty() {
                keep(self.material, &mut site.way)?;
            }
            let about = self.about(&site.host.name, plan.steps.len(), events);
            target
                .apply(&plan, self.material, &mut site.way, about)
                .map_err(failed)?;
        }
        let balances = wanted.iter().any(is_balancer);
        Ok(Worked {
            site,
            plan,
            balances,
        })
    }

    /// Says every step before it is done.
    fn about(
        &self,
        host: &str,
        of: usize,
        events: &SyncSender<Event>,
    ) -> impl FnMut(&plan::Step) -> ControlFlow<()> {
        let mut number = 0;
        move |step| {
            if self.interrupt.asked() {
                return ControlFlow::Break(());
            }
            number += 1;
            let _ = events.send(Event::Step {
                host: host.to_owned(),
                number,
                of,
                step: plan::line(step),
            });
            ControlFlow::Continue(())
        }
    }
}

/// Does it to all of them at once.
fn each<T: Send, U: Send>(
    all: BTreeMap<String, T>,
    work: impl Fn(T) -> Result<U, String> + Sync,
) -> BTreeMap<String, Result<U, String>> {
    let work = &work;
    thread::scope(|scope| {
        let tries: Vec<_> = all
            .into_iter()
            .map(|(name, one)| (name, scope.spawn(move || work(one))))
            .collect();
        let joined = tries.into_iter().map(|(name, one)| {
            let died = |_| Err("its thread died".to_owned());
            (name, one.join().unwrap_or_else(died))
        });
        joined.collect()
    })
}

fn is_balancer(resource: &Resource) -> bool {
    match resource {
        Resource::Program(program) => program.name == "api-lb",
        Resource::Folder(_)
        | Resource::File(_)
        | Resource::Block(_)
        | Resource::Certificate(_)
        | Resource::Shared(_)
        | Resource::Unit(_) => false,
    }
}

/// Has a master keep the authorities.
fn keep(material: &Material, way: &mut impl Transport) -> Result<(), String> {
    let put = Put {
        path: apply::PLACE.to_owned(),
        mode: 0o600,
        owner: "root".to_owned(),
        content: material.text(),
    };
    asked::done(way, Order::Put(put)).map_err(|error| error.to_string())
}
