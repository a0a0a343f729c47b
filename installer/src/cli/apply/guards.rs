//! What speaks against hosts that could be worked on: looked at when all are planned, before the
//! first is begun.

use std::collections::BTreeMap;
use std::process::Command;
use std::sync::mpsc::SyncSender;
use std::thread;

use super::super::progress::Event;
use super::super::reach;
use super::over;
use super::planned::{Planned, Plans};
use super::run::Run;
use super::site::{Site, Sites};
use super::stands::Outage;
use crate::agent::{Kube, Question};
use crate::apply;
use crate::apply::skew::{self, Server};
use crate::architecture::Architecture;
use crate::render::Newcomers;
use crate::resource;
use crate::spec::Role;
use crate::stock::Ready;
use crate::versions::Version;

/// What a program gets to say its version, seconds.
const LONGEST: &str = "10";

impl Run<'_> {
    /// Those that may be begun.
    pub(super) fn guarded<'a>(
        &self,
        mut planned: Plans<'a>,
        mut apart: Sites<'_>,
        events: &SyncSender<Event>,
    ) -> Plans<'a> {
        self.put_off(&mut planned, &mut apart, events);
        let mut against = against(self, &planned, &mut apart);
        // The last one: it makes room for those that nothing speaks against.
        let taken = self.taken(&mut planned, &mut apart, &against, events);
        against.extend(taken);
        let all = planned.into_iter().map(|(name, one)| {
            let one = match against.get(&name) {
                Some(why) if one.is_ok() => Err(self.failed(&name, why.clone(), events)),
                Some(_) | None => one,
            };
            (name, one)
        });
        all.collect()
    }
}

/// Why hosts are not begun, by their names. `apart` answer and are not worked on.
fn against(
    run: &Run<'_>,
    planned: &Plans<'_>,
    apart: &mut Sites<'_>,
) -> BTreeMap<String, String> {
    let mut all = newcomers(run, planned, apart);
    all.extend(over::against(run, planned, apart));
    let mut skewed = given(run, planned);
    skewed.extend(servers(run, planned, apart));
    let nodes = kubelets(run, planned, apart, &skewed);
    all.extend(skewed);
    all.extend(nodes);
    all.extend(run.alone(planned, apart));
    all
}

pub(super) fn hosts<'a, 'b>(
    planned: &'b Plans<'a>,
) -> impl Iterator<Item = &'b Planned<'a>> {
    planned.values().flatten()
}

/// A kubelet joins by a token that masters have, and as a node that they know of: masters that are
/// left out must have both.
fn newcomers(
    run: &Run<'_>,
    planned: &Plans<'_>,
    apart: &mut Sites<'_>,
) -> BTreeMap<String, String> {
    let new = hosts(planned).filter(|one| one.site.newcomer == Newcomers::Expected);
    let new: Vec<_> = new.map(|one| one.site.host.name.clone()).collect();
    if new.is_empty() {
        return BTreeMap::new();
    }
    let closed = apart.iter_mut().filter_map(|(name, site)| {
        let master = site.host.is(Role::ControlPlane);
        let opens = master
            && run
                .plan(site)
                .is_ok_and(|(_, _, plan)| apply::lets_in(&plan));
        (master && !opens).then(|| name.clone())
    });
    let closed: Vec<_> = closed.collect();
    if closed.is_empty() {
        return BTreeMap::new();
    }
    let why = format!(
        "not begun: a new node is let in by what {} would be given, and is left out: {}",
        closed.join(", "),
        and_those(&closed)
    );
    new.into_iter().map(|host| (host, why.clone())).collect()
}

/// How hosts that were left out are taken in.
pub(super) fn and_those(hosts: &[String]) -> String {
    format!("leave --host out, or add --host {}", hosts.join(" --host "))
}

/// Programs of another version than the description's, as far as this machine can run them.
fn given(run: &Run<'_>, planned: &Plans<'_>) -> BTreeMap<String, String> {
    let own = Architecture::own().ok();
    // Also where another version was only described: the files that are given stay the same then.
    let holds = |one: &Planned<'_>, name: &str| {
        let changes = !one.plan.steps.is_empty();
        changes && Some(one.site.architecture) == own && resource::runs(&one.wanted, name)
    };
    let names = skew::PROGRAMS.iter().copied();
    let names = names.filter(|name| hosts(planned).any(|one| holds(one, name)));
    let programs = own.map(|own| run.stock.programs(own)).unwrap_or_default();
    let bad: Vec<_> = thread::scope(|scope| {
        let tries = names.filter_map(|name| {
            let ready = programs.get(name)?.clone();
            Some((name, scope.spawn(move || version(&ready))))
        });
        let tries: Vec<_> = tries.collect();
        let said = tries.into_iter().filter_map(|(name, one)| {
            let said = one.join().ok().flatten();
            let skewed = skew::given(name, said, run.cluster.version).err()?;
            Some((name, skewed.to_string()))
        });
        said.collect()
    });
    let why = |one: &Planned<'_>| {
        let (_, why) = bad.iter().find(|(name, _)| holds(one, name))?;
        Some((one.site.host.name.clone(), why.clone()))
    };
    hosts(planned).filter_map(why).collect()
}

/// What a program says of itself; nothing of one that this machine cannot run. One that is not what
/// its list says is not run: where it is laid down that is named.
fn version(ready: &Ready) -> Option<Version> {
    ready.look().ok()?;
    let mut command = Command::new("timeout");
    command.args(["--kill-after=1", LONGEST]);
    let output = command.arg(&ready.file).arg("--version").output().ok()?;
    Version::said(&String::from_utf8_lossy(&output.stdout))
}

/// API servers that leave a minor version out, go back, or leave another behind; those of masters
/// that are new, too.
fn servers(
    run: &Run<'_>,
    planned: &Plans<'_>,
    apart: &mut Sites<'_>,
) -> BTreeMap<String, String> {
    let own = |one: &Planned<'_>| Some((one.site.host.name.clone(), one.stands.server?));
    let mut all: Vec<_> = hosts(planned).filter_map(own).collect();
    let brought = hosts(planned).filter(|one| skew::brings(&one.plan, "kube-apiserver"));
    let brought: Vec<_> = brought.map(|one| one.site.host.name.clone()).collect();
    if brought.is_empty() {
        return BTreeMap::new();
    }
    let masters = apart
        .iter_mut()
        .filter(|(_, site)| site.host.is(Role::ControlPlane));
    all.extend(
        masters.filter_map(|(name, site)| {
            Some((name.clone(), said(site, Kube::ApiServer)?))
        }),
    );
    let silent = run.cluster.with(Role::ControlPlane).map(|host| &host.name);
    let silent = silent.filter(|name| {
        let answers = planned.get(*name).is_some_and(Result::is_ok);
        !answers && !apart.contains_key(*name) && run.outage == Outage::Refused
    });
    let silent: Vec<_> = silent.cloned().collect();
    let why = |host: String| {
        let wanted = run.cluster.version;
        let own = all.iter().find(|(name, _)| *name == host);
        let absent = own.map(|(_, own)| skew::absent(*own, wanted, &silent));
        let skewed = skew::server(&host, &all, wanted).and(absent.unwrap_or(Ok(())));
        Some((host, skewed.err()?.to_string()))
    };
    brought.into_iter().filter_map(why).collect()
}

/// Kubelets that would be newer than an API server, or go back; those of new nodes, too.
fn kubelets(
    run: &Run<'_>,
    planned: &Plans<'_>,
    apart: &mut Sites<'_>,
    skewed: &BTreeMap<String, String>,
) -> BTreeMap<String, String> {
    let brought = |one: &&Planned<'_>| {
        let host = one.site.host;
        // That of a master asks the API server beside it.
        let asks = !host.is(Role::ControlPlane) && !skewed.contains_key(&host.name);
        asks && skew::brings(&one.plan, "kubelet")
    };
    let nodes: Vec<_> = hosts(planned).filter(brought).collect();
    if nodes.is_empty() {
        return BTreeMap::new();
    }
    let masters = run.cluster.with(Role::ControlPlane).map(|host| &host.name);
    let others = masters.filter(|name| {
        let planned = planned.get(*name);
        skewed.contains_key(*name) || !planned.is_some_and(Result::is_ok)
    });
    let servers: Vec<_> = others
        .map(|name| {
            let known = planned.get(name).and_then(|one| one.as_ref().ok());
            let server = match (apart.get_mut(name), known) {
                (Some(site), _) => Server::Says(said(site, Kube::ApiServer)),
                (None, Some(left)) => Server::Says(left.stands.server),
                (None, None) => Server::Silent,
            };
            (name.clone(), server)
        })
        .collect();
    let why = |one: &Planned<'_>| {
        let wanted = run.cluster.version;
        let skewed = skew::kubelet(one.stands.kubelet, wanted, &servers).err()?;
        Some((one.site.host.name.clone(), skewed.to_string()))
    };
    nodes.into_iter().filter_map(why).collect()
}

/// The version that a host has of something of ours that has run there.
pub(super) fn said(site: &mut Site<'_>, kube: Kube) -> Option<Version> {
    let told = reach::told(&mut site.way, Question::Version(kube)).ok()?;
    Version::said(told.as_str()?)
}
