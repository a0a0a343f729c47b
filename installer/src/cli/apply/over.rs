//! Nodes whose kubelets go over to another place of the API: when every master serves there, and
//! nobody lets go of where they look for it before they have gone. A kubelet without the API is
//! taken for dead after 40 s.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::mpsc::SyncSender;
use std::time::Duration;

use super::super::progress::Event;
use super::super::round::probed;
use super::super::served::{self, Pace};
use super::guards::{and_those, hosts};
use super::planned::{Planned, Plans};
use super::run::Run;
use super::site::{Meant, Site, Sites};
use crate::agent::{Probe, Probed};
use crate::apply::{Part, endpoint};
use crate::flows::{Ear, Reply, Way};
use crate::render;
use crate::spec::Role;

/// From a vip-daemon's new list until its address answers, on a busy host.
const PACE: Pace = Pace {
    again: Duration::from_millis(250),
    patience: Duration::from_secs(10),
};

impl Run<'_> {
    /// Whether the kubelet of a host goes over.
    pub(super) fn goes(&self, planned: &Planned<'_>) -> bool {
        self.left_by(&planned.site).is_some()
    }

    /// Where it has looked for the API.
    fn left_by<'a>(&self, site: &'a Site<'_>) -> Option<&'a str> {
        render::elsewhere(self.cluster, site.host, &site.known)
    }

    /// The same, where nobody will serve by it: the address is no more of the description.
    fn stranded<'a>(&self, site: &'a Site<'_>) -> Option<&'a str> {
        let endpoint = &self.cluster.endpoint;
        let served = [endpoint.urls(), self.cluster.servers()].concat();
        let old = self.left_by(site);
        old.filter(|old| !served.iter().any(|one| one == old))
    }

    /// Those that must have done what they are to do before anything is put off no longer: masters,
    /// and nodes that go over.
    pub(super) fn awaited(&self, planned: &Plans<'_>) -> BTreeSet<String> {
        let masters = self.cluster.with(Role::ControlPlane);
        let masters = masters.map(|host| host.name.clone());
        let go = hosts(planned).filter(|one| self.goes(one));
        let go = go.map(|one| one.site.host.name.clone());
        masters.chain(go).collect()
    }

    /// Why a kubelet would find nobody where it is to look for the API.
    pub(super) fn unserved(
        &self,
        planned: &mut Planned<'_>,
        events: &SyncSender<Event>,
    ) -> Option<String> {
        if self.meant == Meant::Shown || !self.goes(planned) {
            return None;
        }
        let endpoint = &self.cluster.endpoint;
        let address = endpoint.addresses.first()?;
        if address.is_loopback() {
            // It comes with an api-lb of its own.
            return None;
        }
        let (host, way) = (&planned.site.host.name, &mut planned.site.way);
        let ear = Ear {
            address: *address,
            way: Way::Tcp(endpoint.port),
        };
        let lacks = || {
            let (calls, word) = (vec![ear.clone()], String::new());
            match probed(way, Probe::Dial { calls, word }) {
                Ok(Probed::Replies(replies)) if replies == [Reply::Heard] => None,
                Ok(_) => {
                    Some(format!("{address} port {} does not answer", endpoint.port))
                }
                Err(error) => Some(error),
            }
        };
        let waits = |lacks: &str| self.waits(host, lacks, events);
        let answers = served::until(&PACE, &|| self.interrupt.asked(), waits, lacks);
        let (served::Missing::Stopped(lacks) | served::Missing::Late(_, lacks)) =
            answers.err()?;
        Some(format!(
            "not begun: its kubelet is to look for the API elsewhere from now on, and is left where \
             it is: {lacks} it"
        ))
    }
}

/// Why hosts are not begun, by their names: nodes that would find nobody, and masters that would
/// leave nodes behind. `apart` answer and are not worked on.
pub(super) fn against(
    run: &Run<'_>,
    planned: &Plans<'_>,
    apart: &mut Sites<'_>,
) -> BTreeMap<String, String> {
    let mut all = early(run, planned, apart);
    all.extend(behind(run, planned, apart));
    all.extend(in_turn(run, planned));
    all
}

/// Nodes that go over to where masters do not serve, which are left out.
fn early(
    run: &Run<'_>,
    planned: &Plans<'_>,
    apart: &mut Sites<'_>,
) -> BTreeMap<String, String> {
    let go: Vec<_> = hosts(planned).filter(|one| run.goes(one)).collect();
    if go.is_empty() {
        return BTreeMap::new();
    }
    let closed = apart.iter_mut().filter_map(|(name, site)| {
        let master = site.host.is(Role::ControlPlane);
        let serves = !master
            || run
                .plan(site)
                .is_ok_and(|(_, _, plan)| endpoint::serves(&plan));
        (!serves).then(|| name.clone())
    });
    let closed: Vec<_> = closed.collect();
    if closed.is_empty() {
        return BTreeMap::new();
    }
    let why = |one: &Planned<'_>| {
        let why = format!(
            "not begun: its kubelet would look for the API where {} would serve, and is left out: {}",
            closed.join(", "),
            and_those(&closed)
        );
        (one.site.host.name.clone(), why)
    };
    go.into_iter().map(why).collect()
}

/// Masters that let go of where nodes look for the API, which are left out.
fn behind(
    run: &Run<'_>,
    planned: &Plans<'_>,
    apart: &Sites<'_>,
) -> BTreeMap<String, String> {
    let left = apart.iter().filter_map(|(name, site)| {
        let old = run.stranded(site)?;
        Some((name.clone(), old.to_owned()))
    });
    let (left, olds): (Vec<_>, BTreeSet<_>) = left.unzip();
    if left.is_empty() {
        return BTreeMap::new();
    }
    let olds = olds.into_iter().collect::<Vec<_>>().join(", ");
    let why = format!(
        "not begun: the kubelets of {} know the API by {olds} alone, which would end, and are left \
         out: {}",
        left.join(", "),
        and_those(&left)
    );
    let masters = hosts(planned).filter(|one| one.site.host.is(Role::ControlPlane));
    let masters = masters.filter(|one| {
        let all = one.plan.steps.iter().chain(&one.behind).cloned();
        endpoint::lets_go(&plan_of(one, all.collect()))
    });
    masters
        .map(|one| (one.site.host.name.clone(), why.clone()))
        .collect()
}

/// A run in which masters let go in their turns, long before the last of them serves elsewhere and
/// nodes go over.
fn in_turn(run: &Run<'_>, planned: &Plans<'_>) -> BTreeMap<String, String> {
    let go = hosts(planned).filter(|one| run.goes(one));
    let go: Vec<_> = go.collect();
    let old = go.iter().find_map(|one| run.stranded(&one.site));
    let masters = hosts(planned).filter(|one| one.site.host.is(Role::ControlPlane));
    let masters: Vec<_> = masters.collect();
    let waits = |one: &&&Planned<'_>| {
        let part = Part::of(one.site.host, &one.plan);
        matches!(
            part,
            Part::Interrupts | Part::Renews | Part::Trails | Part::Leaves
        )
    };
    let slow = masters.iter().find(waits);
    let moved = masters.iter().any(|one| endpoint::lets_go(&one.plan));
    let (Some(old), Some(slow), true) = (old, slow, moved) else {
        return BTreeMap::new();
    };
    let why = format!(
        "not begun: nodes look for the API at {old}, which would end before they know another: \
         masters are started anew one after the other in the same run, for something else that has \
         changed ({}); apply that first or afterwards, and where clients find the API by itself",
        slow.site.host.name
    );
    let all = masters.into_iter().chain(go);
    all.map(|one| (one.site.host.name.clone(), why.clone()))
        .collect()
}

fn plan_of(planned: &Planned<'_>, steps: Vec<crate::plan::Step>) -> crate::plan::Plan {
    let host = planned.site.host.name.clone();
    crate::plan::Plan { host, steps }
}

/// Why a node is left where it is.
pub(super) fn not_gone(failed: &str) -> String {
    format!(
        "not begun: {failed} has not what it is to have, and this host's kubelet would look for the \
         API where not all masters serve; mend {failed} and apply again"
    )
}
