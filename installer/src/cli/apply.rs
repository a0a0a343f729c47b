//! `sternpost apply`: all hosts of a description, each by itself, at once.

use std::collections::{BTreeMap, BTreeSet};
use std::io::IsTerminal;
use std::ops::ControlFlow;
use std::sync::mpsc::{self, SyncSender};
use std::thread;
use std::time::SystemTime;

use clap::Args;
use daemon::{chain, exit};

use super::Sentence;
use super::fetch::{self, Kept};
use super::interrupt::Interrupt;
use super::outcome::{self, Outcomes};
use super::progress::{self, Event, Look, Output};
use super::reach::{self, Reach};
use super::record::{self, Record};
use super::served::{self, Pace};
use crate::agent::{Order, Put};
use crate::apply::{self, ApplyError, Held, Material, Target, Transport};
use crate::architecture::Architecture;
use crate::plan::{self, Plan};
use crate::render::{self, Known, Newcomers};
use crate::resource::Resource;
use crate::spec::{Cluster, Host, Role};
use crate::stock::{Stock, Wanted};
use crate::transport::{Piped, asked};

/// What is asked for.
#[derive(Debug, Args)]
pub(super) struct Apply {
    #[command(flatten)]
    reach: Reach,
    #[command(flatten)]
    kept: Kept,
    #[command(flatten)]
    record: record::Noted,
    /// Print what would be done, and touch nothing. Ends with 3 when there is something.
    #[arg(long)]
    dry_run: bool,
    /// How progress is shown.
    #[arg(short, long, value_enum, default_value_t = Output::Text)]
    output: Output,
}

/// A host on its way to what it is to be.
struct Site<'a> {
    host: &'a Host,
    way: Piped,
    architecture: Architecture,
    known: Known,
}

impl Apply {
    /// One that touches nothing.
    pub(super) fn dry(reach: Reach, kept: Kept, output: Output) -> Self {
        Self {
            reach,
            kept,
            record: record::Noted::default(),
            dry_run: true,
            output,
        }
    }

    /// What came of it, in words, and the exit code.
    pub(super) fn execute(&self) -> Result<(String, u8), Sentence> {
        let cluster = self.reach.cluster()?;
        let mut stock = Kept::local(&cluster)?;
        let interrupt = Interrupt::listen()
            .map_err(|error| format!("signals cannot be heard: {error}"))?;
        let mut record = match self.dry_run {
            true => None,
            false => self.record.open(&cluster.name, &reach::who())?,
        };
        let (mut sites, mut lost) = self.reach(&cluster);
        for (host, error) in &lost {
            let (host, error) = (host.clone(), error.clone());
            let event = Event::Failed { host, error };
            if let Some(Err(error)) = record.as_mut().map(|record| record.note(&event)) {
                super::complain(&error);
            }
        }
        let material = match authorities(&mut sites, &lost, &cluster) {
            Ok(material) => material,
            Err(error) => return Ok((error, exit::FAILED)),
        };
        expect(&mut sites);
        sites.retain(|name, _| self.reach.chosen(name));
        lost.retain(|name, _| self.reach.chosen(name));
        let missing = unsigned(&cluster, &sites);
        if !missing.is_empty() {
            return Ok((missing, exit::FAILED));
        }
        let wanted = wanted(&cluster, &sites);
        if let Err(error) = self.kept.fetch(&mut stock, &cluster, &wanted) {
            return Ok((error, exit::FAILED));
        }
        let mut outcomes = Outcomes::new();
        for (name, error) in lost {
            outcomes.insert(name, Err(error));
        }
        let run = Run {
            cluster: &cluster,
            stock: &stock,
            material: &material,
            interrupt,
            dry_run: self.dry_run,
        };
        outcomes.extend(run.work(self.look(), record, sites));
        if self.dry_run {
            return outcome::planned(&outcomes, self.output);
        }
        let (text, code) = outcome::done(&outcomes);
        match self.output {
            // Each host's end was an event.
            Output::Json => Ok((String::new(), code)),
            Output::Text => Ok((text, code)),
        }
    }

    fn look(&self) -> Look {
        match self.output {
            Output::Json => Look::Json,
            Output::Text if std::io::stderr().is_terminal() => Look::Live,
            Output::Text => Look::Plain,
        }
    }

    /// Every host that answers, and why the others do not.
    fn reach<'a>(
        &self,
        cluster: &'a Cluster,
    ) -> (BTreeMap<String, Site<'a>>, BTreeMap<String, String>) {
        let (mut sites, mut lost) = (BTreeMap::new(), BTreeMap::new());
        thread::scope(|scope| {
            let tries: Vec<_> = cluster
                .hosts
                .iter()
                .map(|host| (host, scope.spawn(|| self.site(host))))
                .collect();
            for (host, site) in tries {
                let name = host.name.clone();
                match site
                    .join()
                    .unwrap_or_else(|_| Err("its thread died".to_owned()))
                {
                    Ok(site) => drop(sites.insert(name, site)),
                    Err(error) => drop(lost.insert(name, error)),
                }
            }
        });
        (sites, lost)
    }

    fn site<'a>(&self, host: &'a Host) -> Result<Site<'a>, String> {
        let mut way = self.reach.way(host)?;
        let machine = reach::machine(&mut way)?;
        let architecture = Architecture::of_machine(&machine.processor);
        let architecture = architecture.map_err(|error| error.to_string())?;
        let address = host.address();
        let interface = machine.interface(address).map(str::to_owned);
        let newcomers = match host.is(Role::Node) && !machine.joined {
            true => Newcomers::Expected,
            false => Newcomers::None,
        };
        let interface = interface.ok_or_else(|| {
            format!("none of its interfaces has {address}; is this the right machine?")
        })?;
        // Another machine is not even locked.
        if !self.dry_run {
            reach::lock(&mut way)?;
        }
        Ok(Site {
            host,
            way,
            architecture,
            known: Known {
                interface,
                resolv_conf: machine.resolv_conf,
                newcomers,
            },
        })
    }
}

/// A host on which every step is done.
struct Worked<'a> {
    site: Site<'a>,
    plan: Plan,
    /// An api-lb runs there.
    balances: bool,
}

/// What all hosts are worked on with.
struct Run<'a> {
    cluster: &'a Cluster,
    stock: &'a Stock,
    material: &'a Material,
    interrupt: Interrupt,
    dry_run: bool,
}

impl Run<'_> {
    /// All hosts at once; then every api-lb has its servers, those of the hosts that were
    /// finished. What happens is shown as it does.
    fn work(
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

/// The programs that the hosts are to hold.
fn wanted(cluster: &Cluster, sites: &BTreeMap<String, Site<'_>>) -> Wanted {
    let mut wanted = Wanted::new();
    for site in sites.values() {
        let programs = fetch::programs(cluster, site.host, &site.known);
        wanted
            .entry(site.architecture)
            .or_default()
            .extend(programs);
    }
    wanted
}

/// What has to be signed elsewhere before the hosts are touched, a line each.
fn unsigned(cluster: &Cluster, sites: &BTreeMap<String, Site<'_>>) -> String {
    let mut lines = Vec::new();
    for site in sites.values() {
        let wanted = render::host(cluster, site.host, &site.known);
        let all = apply::requests(cluster, &site.host.name, &wanted, SystemTime::now());
        let outstanding = apply::outstanding(&all);
        lines.extend(outstanding.iter().map(|one| format!("\n  {one}")));
    }
    if lines.is_empty() {
        return String::new();
    }
    format!(
        "certificates of authorities whose keys are kept elsewhere are missing in {}; \
         \"sternpost requests\" writes there what is to be signed:{}",
        cluster.requests.display(),
        lines.concat()
    )
}

/// When one host is a newcomer, every master lets it in.
fn expect(sites: &mut BTreeMap<String, Site<'_>>) {
    let expected = |site: &Site<'_>| site.known.newcomers == Newcomers::Expected;
    if sites.values().any(expected) {
        for site in sites.values_mut() {
            site.known.newcomers = Newcomers::Expected;
        }
    }
}

/// The authorities to work with, kept by a master before anything is signed with them.
fn authorities(
    sites: &mut BTreeMap<String, Site<'_>>,
    lost: &BTreeMap<String, String>,
    cluster: &Cluster,
) -> Result<Material, Sentence> {
    let mut held: Vec<(String, Held)> = Vec::new();
    for host in cluster.with(Role::ControlPlane) {
        let answer = match (sites.get_mut(&host.name), lost.get(&host.name)) {
            (Some(site), _) => kept(&mut site.way),
            (None, error) => Err(error.cloned().unwrap_or_default()),
        };
        held.push((host.name.clone(), answer));
    }
    apply::settle(&held, cluster, SystemTime::now()).map_err(|error| chain(&error))
}

fn kept(way: &mut impl Transport) -> Held {
    let mut files = reach::fetched(way, vec![apply::PLACE.to_owned()])?;
    Ok(files.remove(apply::PLACE))
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
