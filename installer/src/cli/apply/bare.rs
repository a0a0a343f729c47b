//! What speaks against hosts, as far as a look at the machines tells, before the first of them is
//! touched: on one on which nothing of ours has begun yet, all that blocks it in `preflight`; where
//! something has, and something not, such as after a run that was broken off, who was there first;
//! on any, what would have something else run in the place of ours, and a virtual address that
//! comes new and is somebody's.

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;
use std::thread;

use super::super::{reach, round};
use super::site::{Lost, Site, Sites};
use crate::flows::Carried;
use crate::layout;
use crate::preflight::{
    Claim, Finding, Installed, Round, Sight, Weight, What, lacks_units, preflight,
};
use crate::render;
use crate::spec::{Balancer, Cluster, Role};

/// The hosts that something blocks, each by itself, with why it is not begun.
pub(super) fn blocked(cluster: &Cluster, sites: &mut Sites<'_>) -> Lost {
    let fresh = fresh(cluster, sites);
    let claims = claims(cluster, sites, &fresh);
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
        fresh,
        ..Round::default()
    };
    let mut found = preflight(cluster, &round);
    found.retain(|one| one.what.weight() == Weight::Blocks);
    let open = sites.iter().filter(|(_, site)| site.refused.is_none());
    let blocked = open.filter_map(|(name, site)| {
        let against = found.iter().filter(|one| is_against(cluster, site, one));
        let mut against: Vec<_> = against.collect();
        // Its own first.
        against.sort_by_key(|one| one.host != *name);
        let words: Vec<_> = against
            .into_iter()
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
    // Where this machine's clock is off, what is signed here would hold on none of them. An
    // address that is somebody's is nobody's to hold, and nobody's to call.
    let of_all = matches!(found.what, What::OwnClock(_) | What::AddressTaken(_));
    let on_any = matches!(
        found.what,
        What::Installed(Installed::RunsElse(_))
            | What::AddressTaken(_)
            | What::AddressHere(_)
    );
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

/// The virtual addresses that no vip-daemon of ours is told to hold; none where one does not say.
fn fresh(cluster: &Cluster, sites: &mut Sites<'_>) -> BTreeSet<IpAddr> {
    let Balancer::Own(router) = &cluster.balancer else {
        return BTreeSet::new();
    };
    let addresses = router.addresses.iter().map(ipnet::IpNet::addr);
    let mut fresh: BTreeSet<_> = addresses.collect();
    let ours = sites.values_mut();
    for site in ours.filter(|site| !is_bare(site)) {
        let told = reach::fetched(&mut site.way, vec![layout::VIP_DAEMON.to_owned()]);
        let Ok(files) = told else {
            return BTreeSet::new();
        };
        for text in files.values() {
            let held = render::held(text);
            fresh.retain(|address| !held.contains(address));
        }
    }
    fresh
}

/// Who has the virtual addresses that are to come: the first master asks. What cannot be asked
/// says nothing; `preflight` says why.
fn claims(
    cluster: &Cluster,
    sites: &mut Sites<'_>,
    fresh: &BTreeSet<IpAddr>,
) -> Vec<Claim> {
    let mut masters = cluster.with(Role::ControlPlane);
    let Some(first) = masters.find(|host| sites.contains_key(&host.name)) else {
        return Vec::new();
    };
    let Some(site) = sites.get_mut(&first.name) else {
        return Vec::new();
    };
    let interface = Some(site.known.interface.as_str());
    let asked_for = |address: &IpAddr| fresh.contains(address);
    let claims = round::claimed(cluster, site.host, interface, &mut site.way, asked_for);
    claims.unwrap_or_default()
}
