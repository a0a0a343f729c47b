//! Before hosts are given up: they are this operator's alone, and the cluster stands without them.

use super::apply::stands;
use super::reach::{self, Ways};
use crate::apply::Pillar;
use crate::spec::{Cluster, Etcd, Host, Role};
use crate::transport::Piped;
use crate::transport::asked::Locked;

/// Keeps other operators from the hosts, and from all that the cluster rests on, also where those
/// stay: two who each give up a member would take its majority together. Locked host by host, in
/// the order in which `apply` does: a part of it is nobody's. The ways to those that stay, which
/// are locked for as long as they are open.
///
/// # Errors
/// With a host that is another operator's, and what is said of him.
pub(super) fn locked<'a>(
    cluster: &'a Cluster,
    ways: &mut Ways<'a>,
) -> Result<Ways<'a>, String> {
    let rests = |host: &Host| host.is(Role::ControlPlane) || host.is(Role::Etcd);
    let mut stay = ways.others(cluster, rests);
    for host in cluster.hosts.iter().filter(|host| rests(host)) {
        let this = |one: &Host| one.name == host.name;
        let goes = ways.ask_of(this, |_, way| reach::locked(way));
        let stays = stay.ask_of(this, |_, way| reach::locked(way));
        for answer in goes.into_values().chain(stays.into_values()) {
            // Who does not answer is lost by himself, and says so when he is asked again.
            if let Ok(Locked::Held(holder)) = answer {
                return Err(format!(
                    "not begun: {} is another operator's for the time being: {holder}",
                    host.name
                ));
            }
        }
    }
    Ok(stay)
}

/// What falls when hosts go; nothing where the cluster stands without them, lies down already, or
/// goes as a whole.
pub(super) fn falls(
    cluster: &Cluster,
    ways: &mut Ways<'_>,
    goes: &dyn Fn(&str) -> bool,
) -> Option<String> {
    let parted = |role: Role| {
        let stays = |host: &Host| !goes(&host.name);
        cluster.with(role).any(stays)
    };
    let members = |_: &Host, way: &mut Piped| stands::members(way, cluster);
    let servers = |_: &Host, way: &mut Piped| Ok(stands::servers(way, cluster));
    let has = |role: Role| move |host: &Host| host.is(role);
    // As the first of those that go sees them: where none can say it, none of them serves.
    let told = match cluster.etcd == Etcd::Hosts && parted(Role::Etcd) {
        true => ways.ask_of(has(Role::Etcd), members),
        false => reach::Answers::new(),
    };
    let store = judged(Pillar::Store, told.into_values().find_map(Result::ok), goes);
    if let Some((going, left)) = store {
        return Some(format!(
            "without {going} etcd would be without its majority: {left} would be left"
        ));
    }
    if !parted(Role::ControlPlane) {
        return None;
    }
    let told = ways.ask_of(has(Role::ControlPlane), servers);
    let api = judged(Pillar::Api, told.into_values().find_map(Result::ok), goes);
    let (going, left) = api?;
    Some(format!(
        "without {going} no API server would be left that is ready: {left} would be left"
    ))
}

/// Who goes, and who would be left and is well, where that is too little.
fn judged(
    pillar: Pillar,
    told: Option<Vec<(&str, bool)>>,
    goes: &dyn Fn(&str) -> bool,
) -> Option<(String, String)> {
    let (going, staying): (Vec<_>, Vec<_>) =
        told?.into_iter().partition(|(name, _)| goes(name));
    let well = |parts: &[(&str, bool)]| -> Vec<bool> {
        parts.iter().map(|(_, well)| *well).collect()
    };
    if going.is_empty() || pillar.outlives(&well(&going), &well(&staying)) {
        return None;
    }
    let going: Vec<_> = going.into_iter().map(|(name, _)| name).collect();
    let left = staying.iter().filter(|(_, well)| *well);
    let left: Vec<_> = left.map(|(name, _)| *name).collect();
    let left = match left.is_empty() {
        true => "nobody".to_owned(),
        false => left.join(", "),
    };
    Some((going.join(", "), left))
}
