//! The work of `apply`: all hosts at once, each step said before it is done.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::ControlFlow;
use std::sync::mpsc::{self, SyncSender};
use std::thread;

use daemon::chain;

use super::super::interrupt::Interrupt;
use super::super::outcome::Outcomes;
use super::super::progress::{Event, Printer};
use super::super::served::{self, Pace};
use super::guards;
use super::over;
use super::planned::{Planned, Plans};
use super::site::{Meant, Sites};
use super::stands::{self, Outage};
use super::token;
use super::turns::Turns;
use super::well::{self, Balancer};
use crate::apply::{self, Material, Part, Pillar, Target};
use crate::plan::{self, Plan};
use crate::render::Newcomers;
use crate::spec::{Cluster, Host, Role};
use crate::stock::Stock;

/// Where to look whether something is missing for long.
const STATUS: &str = "; \"sternpost status\" shows whether that lasts";

/// Which work on a host.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Work {
    /// What no host's turn is waited for with.
    Ahead,
    /// All else.
    InTurn,
}

/// What all hosts are worked on with.
pub(super) struct Run<'a> {
    pub(super) cluster: &'a Cluster,
    pub(super) stock: &'a Stock,
    pub(super) material: &'a Material,
    pub(super) interrupt: Interrupt,
    pub(super) meant: Meant,
    pub(super) outage: Outage,
    /// Hosts whose Nodes the cluster is to forget, where they come in anew.
    pub(super) replaced: &'a [String],
}

impl Run<'_> {
    /// All hosts at once, but those that take something off a cluster that serves, which wait
    /// for their turn; then every api-lb has its servers, those of the hosts that were
    /// finished. What happens is shown as it does.
    /// `apart` answer, and are not worked on.
    pub(super) fn work(
        &self,
        printer: Printer,
        sites: Sites<'_>,
        apart: Sites<'_>,
    ) -> Outcomes {
        // Each host sends a line a step; the printer takes them as fast as a terminal does.
        let (events, shown) = mpsc::sync_channel(64);
        thread::scope(|scope| {
            scope.spawn(move || printer.all(&shown));
            let planned = each(sites, |site| {
                let host = &site.host.name;
                let planned = self.planned(site);
                planned.map_err(|error| self.failed(host, error, &events))
            });
            // Also those that are refused in the end: what others put off for them stays.
            let awaited = self.awaited(&planned);
            let planned = self.guarded(planned, apart, &events);
            let mut planned = each(planned, |planned| {
                let planned = planned?;
                let host = &planned.site.host.name;
                let renewed = self.renewed(planned, &events);
                renewed.map_err(|error| self.failed(host, error, &events))
            });
            let turns = self.turns(&mut planned, &events);
            let worked = each(planned, |planned| {
                let planned = planned?;
                let host = &planned.site.host.name;
                let worked = self.in_turn(planned, &turns, &events);
                worked.map_err(|error| self.failed(host, error, &events))
            });
            let worked = self.behind(worked, &awaited, &events);
            let servers = self.servers(&worked);
            let served = each(worked, |worked| {
                let mut worked = self.served(worked?, &servers, &events)?;
                let joined = self.joined(&mut worked, &events);
                Ok((worked, joined))
            });
            let served = self.without_newcomers(served, &events);
            let mut nodes = self.cluster.with(Role::Node);
            let joined =
                nodes.all(|node| served.get(&node.name).is_some_and(Result::is_ok));
            let done = each(served, |served| self.done(served?, joined, &events));
            drop(events);
            done
        })
    }

    /// The API servers that every api-lb has to have in the end; none when nothing was done.
    fn servers(
        &self,
        worked: &BTreeMap<String, Result<Planned<'_>, String>>,
    ) -> BTreeSet<String> {
        let finished = || worked.values().flatten();
        if self.meant == Meant::Shown || finished().all(|one| one.plan.steps.is_empty()) {
            return BTreeSet::new();
        }
        let masters = finished().filter(|one| one.site.host.is(Role::ControlPlane));
        masters.map(|one| one.site.host.name.clone()).collect()
    }

    /// A host whose api-lb has those servers, or has none to have.
    fn served<'a>(
        &self,
        mut worked: Planned<'a>,
        servers: &BTreeSet<String>,
        events: &SyncSender<Event>,
    ) -> Result<Planned<'a>, String> {
        let balances = worked.balancer() == Balancer::Runs;
        if balances && !servers.is_empty() {
            let host = &worked.site.host.name;
            let waits = |lacks: &str| self.waits(host, lacks, events);
            let stop = || self.interrupt.asked();
            let way = &mut worked.site.way;
            served::served(way, servers, &Pace::default(), &stop, waits).map_err(
                |missing| {
                    let error = missing.told("serving", STATUS);
                    self.failed(host, error, events)
                },
            )?;
        }
        Ok(worked)
    }

    /// The end of a host; that of a master whose newcomers have all come in is without the token.
    fn done(
        &self,
        mut worked: Planned<'_>,
        joined: bool,
        events: &SyncSender<Event>,
    ) -> Result<Plan, String> {
        let host = worked.site.host.name.clone();
        let steps = worked.before + worked.plan.steps.len();
        let expected = worked.site.known.newcomers == Newcomers::Expected;
        let done = self.meant == Meant::Done;
        if done && joined && expected && worked.site.host.is(Role::ControlPlane) {
            token::gone(&mut worked.site.way)
                .map_err(|error| self.failed(&host, error, events))?;
        }
        self.tell(events, Event::Done { host, steps });
        Ok(worked.plan)
    }

    pub(super) fn failed(
        &self,
        host: &str,
        error: String,
        events: &SyncSender<Event>,
    ) -> String {
        let (host, said) = (host.to_owned(), error.clone());
        self.tell(events, Event::Failed { host, error: said });
        error
    }

    pub(super) fn tell(&self, events: &SyncSender<Event>, event: Event) {
        if self.meant == Meant::Done {
            // The printer outlives every sender.
            let _ = events.send(event);
        }
    }

    /// Whose turn it is when; nobody has any where nothing is done.
    fn turns(&self, planned: &mut Plans<'_>, events: &SyncSender<Event>) -> Turns {
        let down = self.etcd_lies_down(planned, events);
        let one_goes = guards::hosts(planned).any(|one| self.goes(one));
        let part = |host: &Host| {
            let planned = planned.get(&host.name)?.as_ref().ok()?;
            let part = Part::of(host, &planned.plan);
            let part = match down {
                true => part.with_etcd_down(&planned.plan),
                false => part,
            };
            let part = match self.goes(planned) {
                true => part.goes(),
                false if one_goes && !planned.plan.steps.is_empty() => part.awaited(host),
                false => part,
            };
            Some((host.name.clone(), part))
        };
        let hosts = match self.meant {
            Meant::Shown => [].iter(),
            Meant::Done => self.cluster.hosts.iter(),
        };
        Turns::new(apply::Turns::of(hosts.filter_map(part)))
    }

    /// A host in its turn, which ends when it is well where others wait for that.
    pub(super) fn in_turn<'a>(
        &self,
        mut planned: Planned<'a>,
        turns: &Turns,
        events: &SyncSender<Event>,
    ) -> Result<Planned<'a>, String> {
        let host = planned.site.host;
        let name = &host.name;
        let taken = turns.take(name, |before| {
            self.waits(
                name,
                &format!("its turn comes after that of {before}"),
                events,
            );
        });
        let turn = taken.map_err(|failed| match self.interrupt.asked() {
            true => "stopped before it was begun; apply again to go on".to_owned(),
            false if self.goes(&planned) => over::not_gone(&failed),
            false => match turns.follows(name) {
                true => not_followed(&failed),
                false => not_begun(&failed),
            },
        })?;
        // Nobody serves anything before etcd does.
        if !turns.raises(name)
            && let Some(why) = self.unserved(&mut planned, events)
        {
            turn.left();
            return Err(why);
        }
        if let Some(falls) = self.falls(&mut planned, turns, events) {
            turn.left();
            return Err(stands::not_begun(&falls));
        }
        self.host(&mut planned, Work::InTurn, events)?;
        if turn.counts() {
            let balancer = planned.balancer();
            let way = &mut planned.site.way;
            let ended = served::until(
                &well::PACE,
                &|| self.interrupt.asked(),
                |lacks| self.waits(name, lacks, events),
                || well::lacks(way, host, balancer),
            );
            ended.map_err(|missing| missing.told("well", STATUS))?;
        }
        turn.ended_well();
        Ok(planned)
    }

    /// Why the cluster cannot do without a host that is to be started anew. What has just begun
    /// elsewhere is given a moment.
    fn falls(
        &self,
        planned: &mut Planned<'_>,
        turns: &Turns,
        events: &SyncSender<Event>,
    ) -> Option<String> {
        if self.meant == Meant::Shown || self.outage == Outage::Allowed {
            return None;
        }
        let host = planned.site.host;
        let mut shaken = Pillar::shaken(host, &planned.plan);
        if turns.raises(&host.name) {
            shaken.remove(&Pillar::Store);
        }
        let way = &mut planned.site.way;
        let mut falls = || {
            let mut all = shaken.iter();
            all.find_map(|pillar| stands::falls(way, self.cluster, host, *pillar))
        };
        let waits = |why: &str| self.waits(&host.name, why, events);
        let stop = || self.interrupt.asked();
        match served::until(&stands::PACE, &stop, waits, &mut falls) {
            Ok(()) => None,
            Err(_) => falls(),
        }
    }

    /// The work on a host.
    pub(super) fn host(
        &self,
        planned: &mut Planned<'_>,
        work: Work,
        events: &SyncSender<Event>,
    ) -> Result<(), String> {
        let Planned {
            site,
            wanted,
            now,
            plan,
            behind,
            before,
            ..
        } = planned;
        if self.meant == Meant::Shown {
            return Ok(());
        }
        let programs = self.stock.programs(site.architecture);
        let target = Target {
            cluster: self.cluster,
            host: &site.host.name,
            wanted,
            programs: &programs,
            now: *now,
        };
        let of = *before + plan.steps.len() + behind.len();
        let about = self.about(&site.host.name, *before, of, events);
        let way = &mut site.way;
        let applied = match work {
            Work::Ahead => target.steps(plan, self.material, way, about).1,
            Work::InTurn => target.apply(plan, self.material, way, about),
        };
        applied.map_err(|error| chain(&error))
    }

    pub(super) fn waits(&self, host: &str, waits_for: &str, events: &SyncSender<Event>) {
        let (host, waits_for) = (host.to_owned(), waits_for.to_owned());
        self.tell(events, Event::Waits { host, waits_for });
    }

    /// Says every step before it is done.
    fn about(
        &self,
        host: &str,
        mut number: usize,
        of: usize,
        events: &SyncSender<Event>,
    ) -> impl FnMut(&plan::Step) -> ControlFlow<()> {
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

/// Why a host that serves is left as it is.
fn not_begun(failed: &str) -> String {
    format!(
        "not begun: {failed} failed, and what this host would start anew serves the cluster \
         meanwhile; mend {failed} and apply again, or leave it out: --host names the others"
    )
}

/// Why a node is left as it is.
fn not_followed(failed: &str) -> String {
    format!(
        "not begun: {failed} has not what it is to have, and a kubelet may not be newer than any \
         API server; mend {failed} and apply again"
    )
}

/// Does it to all of them at once.
pub(super) fn each<T: Send, U: Send>(
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
