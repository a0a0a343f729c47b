//! Asks the hosts which members of etcd they stand with.

use super::super::reach;
use super::site::{Lost, Site, Sites};
use crate::agent::Question;
use crate::apply::{Members, Transport};
use crate::facts::{Kind, Wanted};
use crate::layout;
use crate::render;
use crate::spec::{Cluster, Etcd, Role};
use crate::transport::asked;

/// What the members of etcd that stand were started with, by their hosts.
pub(super) type Stand = Vec<(String, Members)>;

/// Asks each host of etcd. One that does not say is lost by itself.
pub(super) fn stand(cluster: &Cluster, sites: &mut Sites<'_>, lost: &mut Lost) -> Stand {
    let mut stand = Stand::new();
    if cluster.etcd != Etcd::Hosts {
        return stand;
    }
    sites.retain(|name, site| {
        if !site.host.is(Role::Etcd) || site.refused.is_some() {
            return true;
        }
        let founded = founded(&mut site.way);
        let founded = founded.map_err(|error| lost.insert(name.clone(), error));
        let said = founded.is_ok();
        let founded = founded.ok().flatten();
        stand.extend(founded.map(|members| (name.clone(), members)));
        said
    });
    stand
}

/// Nothing where what stands is what is described. Where the hosts were started with others etcd
/// itself is asked: its members may have been changed by hand since, and then its word counts.
///
/// # Errors
/// With what stands, what is described, and the way out.
pub(super) fn unchanged(
    cluster: &Cluster,
    sites: &mut Sites<'_>,
    stand: &Stand,
) -> Result<(), String> {
    let wanted = Members::described(cluster);
    let Err(mut changed) = Members::unchanged(stand, &wanted) else {
        return Ok(());
    };
    let own = stand.iter().find_map(|(name, _)| {
        let listed = listed(sites.get_mut(name)?)?;
        Some((name.clone(), listed))
    });
    if let Some(own) = own {
        match Members::unchanged(&[own], &wanted) {
            Ok(()) => {
                let joining = Members::joining(cluster, stand);
                return joining.map_err(|founds| founds.to_string());
            }
            Err(own) => changed = own,
        }
    }
    Err(changed.to_string())
}

/// Those that etcd counts itself, by the member beside an agent: where it listens for others may be
/// what changes.
fn listed(site: &mut Site<'_>) -> Option<Members> {
    let beside = render::store_beside(site.host);
    let way = &mut site.way;
    let said = reach::told(way, Question::MemberList(beside.clone()));
    // One that has just been taken in may be what a majority lacks.
    let said = said.or_else(|_| reach::told(way, Question::MemberListAlone(beside)));
    Members::listed(&said.ok()?)
}

/// What the member of a host was started with; nothing where it has no data of one.
fn founded(way: &mut impl Transport) -> Result<Option<Members>, String> {
    let (data, unit) = (
        format!("{}/member", layout::ETCD_DATA),
        format!("{}/etcd.service", layout::UNITS),
    );
    let wanted = Wanted {
        paths: vec![data.clone(), unit.clone()],
        ..Wanted::default()
    };
    let mut facts = asked::looked(way, wanted).map_err(|error| error.to_string())?;
    let text = facts
        .entries
        .remove(&unit)
        .and_then(|entry| match entry.kind {
            Kind::File { text, .. } => text,
            Kind::Folder | Kind::Other => None,
        });
    let stands = facts.entries.contains_key(&data);
    Ok(text
        .filter(|_| stands)
        .and_then(|text| Members::of_unit(&text)))
}
