//! Asks the hosts what stands and is not an `apply`'s to change: which members of etcd, where API
//! servers keep what the cluster is, which networks and which domain it has.

use std::thread;

use super::super::reach;
use super::site::{Lost, Site, Sites};
use crate::agent::Question;
use crate::apply::{Members, Networks, Store};
use crate::facts::{Facts, Kind, Wanted};
use crate::layout;
use crate::render;
use crate::spec::{Cluster, Etcd};
use crate::transport::asked;

const API: &str = "kube-apiserver.service";
const MEMBER: &str = "etcd.service";
const MANAGER: &str = "kube-controller-manager.service";
const KUBELET: &str = "kubelet.service";
/// Writes the network of Pods to etcd.
const WRITER: &str = "sternpost-pod-network.service";

/// What stands, by its hosts.
#[derive(Default)]
pub(super) struct Stand {
    /// What the members of etcd were started with.
    members: Vec<(String, Members)>,
    /// Where the API servers that have run keep their objects.
    stores: Vec<(String, Store)>,
    /// By which networks components run.
    networks: Vec<(String, Networks)>,
}

/// What stands on a host.
struct Looked {
    members: Option<Members>,
    store: Option<Store>,
    networks: Networks,
}

/// Asks each host on which units of ours are, whatever it is described as. One that does not say is
/// lost by itself.
pub(super) fn stand(sites: &mut Sites<'_>, lost: &mut Lost) -> Stand {
    let answers: Vec<_> = thread::scope(|scope| {
        let ours = sites.iter_mut();
        let ours = ours.filter(|(_, site)| site.machine.system.ours);
        let tries: Vec<_> = ours
            .map(|(name, site)| (name.clone(), scope.spawn(|| looked(site))))
            .collect();
        let joined = tries.into_iter().map(|(name, one)| {
            let died = |_| Err("its thread died".to_owned());
            (name, one.join().unwrap_or_else(died))
        });
        joined.collect()
    });
    let mut stand = Stand::default();
    for (name, answer) in answers {
        match answer {
            Ok(one) => {
                let members = one.members.map(|one| (name.clone(), one));
                stand.members.extend(members);
                stand
                    .stores
                    .extend(one.store.map(|one| (name.clone(), one)));
                stand.networks.push((name, one.networks));
            }
            Err(error) => {
                sites.remove(&name);
                lost.insert(name, error);
            }
        }
    }
    stand
}

/// Nothing where what stands is what is described.
///
/// # Errors
/// With what stands, what is described, and the way out.
pub(super) fn unchanged(
    cluster: &Cluster,
    sites: &mut Sites<'_>,
    stand: &Stand,
) -> Result<(), String> {
    let kept = Store::unchanged(&stand.stores, &stand.members, cluster);
    let kept = kept.map_err(|led| led.to_string());
    // Whoever has moved members hears of those first.
    let kept = match cluster.etcd {
        Etcd::Hosts => {
            let answering: Vec<_> = sites.keys().cloned().collect();
            let servers: Vec<_> =
                stand.stores.iter().map(|(name, _)| name.clone()).collect();
            let found = Members::found(cluster, &answering, &stand.members, &servers);
            members(cluster, sites, &stand.members)
                .and(kept)
                .and(found.map_err(|lost| lost.to_string()))
        }
        // Where API servers have gone over, by the manual's hand, a member that is left here is its
        // own host's to be named with.
        Etcd::External { .. } => kept.and_then(|()| match stand.stores.is_empty() {
            true => members(cluster, sites, &stand.members),
            false => Ok(()),
        }),
    };
    kept?;
    let same = Networks::unchanged(&stand.networks, cluster);
    same.map_err(|renumbered| renumbered.to_string())
}

/// Where the hosts were started with other members than the described ones etcd itself is asked:
/// its members may have been changed by hand since, and then its word counts.
fn members(
    cluster: &Cluster,
    sites: &mut Sites<'_>,
    stand: &[(String, Members)],
) -> Result<(), String> {
    let wanted = Members::described(cluster);
    let Err(mut changed) = Members::unchanged(stand, &wanted) else {
        return Ok(());
    };
    // One that has just been taken in may be what a majority lacks; one that is cut off from it
    // knows what was.
    let all: [fn(String) -> Question; 2] =
        [Question::MemberList, Question::MemberListAlone];
    let own = all.into_iter().find_map(|question| {
        stand.iter().find_map(|(name, _)| {
            let listed = listed(sites.get_mut(name)?, question)?;
            Some((name.clone(), listed))
        })
    });
    if let Some(own) = own {
        match Members::unchanged(&[own], &wanted) {
            Ok(()) => {
                let answering: Vec<_> = sites.keys().cloned().collect();
                let joining = Members::joining(cluster, &answering, stand);
                return joining.map_err(|founds| founds.to_string());
            }
            Err(own) => changed = own,
        }
    }
    Err(changed.to_string())
}

/// Those that etcd counts itself, by the member beside an agent: where it listens for others may be
/// what changes.
fn listed(site: &mut Site<'_>, question: fn(String) -> Question) -> Option<Members> {
    let beside = render::store_beside(site.host);
    let said = reach::told(&mut site.way, question(beside));
    Members::listed(&said.ok()?)
}

/// What stands on a host.
fn looked(site: &mut Site<'_>) -> Result<Looked, String> {
    let data = format!("{}/member", layout::ETCD_DATA);
    let units = [API, MANAGER, KUBELET, WRITER];
    let configs = [layout::KUBELET_CONFIG, layout::POD_NETWORK].map(str::to_owned);
    let paths = [data.clone(), file(MEMBER), file(API), file(MANAGER)].into_iter();
    let wanted = Wanted {
        paths: paths.chain(configs).collect(),
        units: units.map(str::to_owned).to_vec(),
        ..Wanted::default()
    };
    let facts =
        asked::looked(&mut site.way, wanted).map_err(|error| error.to_string())?;
    let founded = facts.entries.contains_key(&data);
    let member = text(&facts, &file(MEMBER)).filter(|_| founded);
    let unread = || {
        format!(
            "{}: its --initial-cluster cannot be understood",
            file(MEMBER)
        )
    };
    let members = member
        .map(|text| Members::of_unit(text).ok_or_else(unread))
        .transpose()?;
    let by =
        |path: &str, unit: &str| text(&facts, path).filter(|_| has_run(&facts, unit));
    let server = by(&file(API), API);
    let mut networks = Networks::default();
    let kubelet = by(layout::KUBELET_CONFIG, KUBELET);
    kubelet.into_iter().for_each(|text| networks.kubelet(text));
    server.into_iter().for_each(|text| networks.server(text));
    let manager = by(&file(MANAGER), MANAGER);
    manager.into_iter().for_each(|text| networks.manager(text));
    let written = by(layout::POD_NETWORK, WRITER);
    written.into_iter().for_each(|text| networks.leases(text));
    Ok(Looked {
        members,
        store: server.and_then(|text| Store::of_unit(text, site.host)),
        networks,
    })
}

fn file(unit: &str) -> String {
    format!("{}/{unit}", layout::UNITS)
}

/// The text of a file of ours.
fn text<'a>(facts: &'a Facts, path: &str) -> Option<&'a str> {
    let entry = facts.entries.get(path)?;
    match &entry.kind {
        Kind::File { text, .. } => text.as_deref().filter(|_| facts.laid.contains(path)),
        Kind::Folder | Kind::Other => None,
    }
}

/// Whether a unit runs, or has come up by what stands there. One that never did, as by a mistake in
/// a first description, has kept nothing anywhere.
fn has_run(facts: &Facts, unit: &str) -> bool {
    let runs = facts.units.get(unit).is_some_and(|one| one.active);
    let unread = facts.unread.get(unit);
    runs || !unread.is_some_and(|paths| paths.contains(&file(unit)))
}
