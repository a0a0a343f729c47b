//! What the members of an etcd of others say to a host that is to use them.

use super::reach;
use crate::agent::{Answer, Member, Order, Probe, Probed, Store};
use crate::apply::Transport;
use crate::preflight::{Weight, unserved};
use crate::spec::{Cluster, Etcd, Host, Role};

/// Each by its endpoint; none where etcd is ours, or the host does not use it.
pub(super) fn members(
    cluster: &Cluster,
    host: &Host,
    way: &mut impl Transport,
) -> Result<Vec<(String, Member)>, String> {
    let (Etcd::External { endpoints, .. }, Some(files)) =
        (&cluster.etcd, &cluster.enclosed.etcd)
    else {
        return Ok(Vec::new());
    };
    if !host.is(Role::ControlPlane) {
        return Ok(Vec::new());
    }
    let store = Store {
        endpoints: endpoints.clone(),
        authority: files.authority.text.clone(),
        certificate: files.certificate.text.clone(),
        key: files.key.text.clone(),
    };
    let answer = reach::asked(way, Order::Probe(Probe::Members(store)))?;
    let Answer::Probed(Probed::Members(said)) = answer else {
        return Err("the agent answered another question".to_owned());
    };
    Ok(endpoints.iter().cloned().zip(said).collect())
}

/// Nothing where one of them answers the host, or none is to.
///
/// # Errors
/// With what each said, and the way out: an API server would try for minutes and say less.
pub(super) fn serve(
    cluster: &Cluster,
    host: &Host,
    way: &mut impl Transport,
) -> Result<(), String> {
    let bad = unserved(&members(cluster, host, way)?).into_iter();
    let bad = bad.filter(|one| one.weight() == Weight::Blocks);
    let bad: Vec<_> = bad.map(|one| format!("{one}; {}", one.way_out())).collect();
    match bad.is_empty() {
        true => Ok(()),
        false => Err(bad.join("; ")),
    }
}
