//! Whether the cluster can do without a host for a moment, by what its members of etcd and its
//! API servers say.

use std::net::SocketAddr;
use std::time::Duration;

use super::super::reach;
use super::super::served::Pace;
use crate::agent::Question;
use crate::apply::{Pillar, Transport};
use crate::render;
use crate::spec::{APISERVER_PORT, Cluster, Etcd, Host, Role};

/// A leader is elected within that, and a server that was started anew is ready to the others.
pub(super) const PACE: Pace = Pace {
    again: Duration::from_millis(500),
    patience: Duration::from_secs(5),
};

/// What happens to a host without which the cluster would not serve.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Outage {
    /// It is not begun.
    Refused,
    /// It is started anew all the same.
    Allowed,
}

/// Why a pillar would not stand without this host; nothing when it does.
pub(super) fn falls(
    way: &mut impl Transport,
    cluster: &Cluster,
    host: &Host,
    pillar: Pillar,
) -> Option<String> {
    match pillar {
        Pillar::Store if cluster.etcd != Etcd::Hosts => None,
        Pillar::Store => store(way, cluster, host),
        Pillar::Api => api(way, cluster, host),
    }
}

fn store(way: &mut impl Transport, cluster: &Cluster, host: &Host) -> Option<String> {
    let told = match members(way, cluster) {
        Ok(told) => told,
        Err(error) => {
            return Some(format!("nobody knows how etcd's members are: {error}"));
        }
    };
    judged(Pillar::Store, host, told.into_iter())
        .map(|ill| format!("etcd would be without its majority: {ill} takes no write"))
}

fn api(way: &mut impl Transport, cluster: &Cluster, host: &Host) -> Option<String> {
    judged(Pillar::Api, host, servers(way, cluster).into_iter())
        .map(|ill| format!("no API server would be left: that of {ill} is not ready"))
}

/// Each member of etcd, and whether it takes a write, as a host with one sees them.
pub(in crate::cli) fn members<'a>(
    way: &mut impl Transport,
    cluster: &'a Cluster,
) -> Result<Vec<(&'a str, bool)>, String> {
    let members: Vec<_> = cluster.with(Role::Etcd).collect();
    let endpoints = members.iter().map(|member| render::store(member));
    let said = reach::told(way, Question::Health(endpoints.collect()))?;
    let well = |member: &Host| {
        let endpoint = render::store(member);
        let mut all = said.as_array().into_iter().flatten();
        let own = all.find(|one| one.get("endpoint").is_some_and(|at| *at == endpoint));
        let health = own.and_then(|one| one.get("health"));
        health.and_then(|one| one.as_bool()) == Some(true)
    };
    let told = members.iter().map(|one| (one.name.as_str(), well(one)));
    Ok(told.collect())
}

/// Each API server, and whether it is ready, as a master sees them.
pub(in crate::cli) fn servers<'a>(
    way: &mut impl Transport,
    cluster: &'a Cluster,
) -> Vec<(&'a str, bool)> {
    let masters = cluster.with(Role::ControlPlane);
    masters
        .map(|master| {
            let address = SocketAddr::new(master.address(), APISERVER_PORT);
            let server = Some(format!("https://{address}"));
            let path = "/readyz".to_owned();
            let said = reach::told(way, Question::Api { server, path });
            (master.name.as_str(), said.is_ok_and(|said| said == "ok"))
        })
        .collect()
}

/// Who is not well, where the pillar falls without this host.
fn judged<'a>(
    pillar: Pillar,
    host: &Host,
    told: impl Iterator<Item = (&'a str, bool)>,
) -> Option<String> {
    let (own, others): (Vec<_>, Vec<_>) = told.partition(|(name, _)| *name == host.name);
    let own = own.first().is_some_and(|(_, well)| *well);
    let well: Vec<_> = others.iter().map(|(_, well)| *well).collect();
    if pillar.stands(own, &well) {
        return None;
    }
    let ill = others.iter().filter(|(_, well)| !well);
    let names: Vec<_> = ill.map(|(name, _)| *name).collect();
    Some(names.join(", "))
}

/// What is said of a host that is left as it is.
pub(super) fn not_begun(falls: &str) -> String {
    format!(
        "not begun: without this host {falls}; bring that up first, or give --allow-outage to \
         have this host started anew all the same"
    )
}
