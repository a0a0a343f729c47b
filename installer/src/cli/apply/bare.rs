//! What speaks against hosts, as far as a look at the machines tells, before the first of them is
//! touched: on one on which nothing of ours has begun yet, all that blocks it in `preflight`; where
//! something has, and something not, such as after a run that was broken off, who was there first;
//! on any, what would have something else run in the place of ours.

use std::collections::BTreeMap;
use std::thread;

use super::super::round;
use super::site::{Lost, Site, Sites};
use crate::flows::Carried;
use crate::preflight::{
    Claim, Finding, Installed, Round, Sight, Weight, What, lacks_units, preflight,
};
use crate::spec::{Cluster, Role};

/// The hosts that something blocks, each by itself, with why it is not begun.
pub(super) fn blocked(cluster: &Cluster, sites: &mut Sites<'_>) -> Lost {
    let claims = claims(cluster, sites);
    let mut carried = carried(cluster, sites);
    let sight = |(name, site): (&String, &Site<'_>)| {
        let sight = Sight {
            carried: carried.remove(name).unwrap_or_default(),
            ..Sight::of(site.machine.clone(), site.asked)
        };
        (name.clone(), sight)
    };
    let round = Round {
        sights: sites.iter().map(sight).collect(),
        claims,
        ..Round::default()
    };
    let mut found = preflight(cluster, &round);
    found.retain(|one| one.what.weight() == Weight::Blocks);
    let open = sites.iter().filter(|(_, site)| site.refused.is_none());
    let blocked = open.filter_map(|(name, site)| {
        let against = found.iter().filter(|one| is_against(cluster, site, one));
        let words: Vec<_> = against
            .map(|one| format!("{}; {}", one.what, one.what.way_out()))
            .collect();
        let words = words.join(". ");
        let why = format!("not begun: {words}; --no-preflight goes on all the same");
        (!words.is_empty()).then(|| (name.clone(), why))
    });
    blocked.collect()
}

fn is_against(cluster: &Cluster, site: &Site<'_>, found: &Finding) -> bool {
    let own = found.host == site.host.name;
    // Where this machine's clock is off, what is signed here would hold on none of them.
    let of_all = matches!(found.what, What::OwnClock(_));
    let on_any = matches!(found.what, What::Installed(Installed::RunsElse(_)));
    let stranger = matches!(
        found.what,
        What::Port(_) | What::Running(_) | What::Leftover(_) | What::NetworkBefore(_)
    );
    let system = &site.machine.system;
    let in_the_way = stranger && lacks_units(cluster, site.host, system);
    (own || of_all) && (is_bare(site) || on_any || in_the_way)
}

/// Whether nothing of ours has begun there yet.
fn is_bare(site: &Site<'_>) -> bool {
    site.machine.system.begun.is_empty()
}

/// What the firewalls of hosts on which nothing of ours has begun do with packets of Pods, all at once.
fn carried(cluster: &Cluster, sites: &mut Sites<'_>) -> BTreeMap<String, Carried> {
    thread::scope(|scope| {
        let bare = sites.iter_mut().filter(|(_, site)| is_bare(site));
        let asked: Vec<_> = bare
            .map(|(name, site)| {
                let (host, way) = (site.host, &mut site.way);
                let interface = Some(site.known.interface.as_str());
                let ask = move || round::carried(cluster, host, interface, way);
                (name, scope.spawn(ask))
            })
            .collect();
        let told = asked
            .into_iter()
            .filter_map(|(name, one)| Some((name.clone(), one.join().ok()?.ok()?)));
        told.collect()
    })
}

/// Who has the virtual addresses, where no cluster of ours does: the first master asks. What
/// cannot be asked says nothing; `preflight` says why.
fn claims(cluster: &Cluster, sites: &mut Sites<'_>) -> Vec<Claim> {
    if !sites.values().all(is_bare) {
        return Vec::new();
    }
    let mut masters = cluster.with(Role::ControlPlane);
    let Some(first) = masters.find(|host| sites.contains_key(&host.name)) else {
        return Vec::new();
    };
    let Some(site) = sites.get_mut(&first.name) else {
        return Vec::new();
    };
    let interface = Some(site.known.interface.as_str());
    let claims = round::claimed(cluster, site.host, interface, &mut site.way);
    claims.unwrap_or_default()
}
