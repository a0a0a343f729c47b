//! The hosts of a run: reached, looked at, kept for this operator alone; and what holds for all
//! of them before the first is worked on.

use std::collections::BTreeMap;
use std::thread;
use std::time::SystemTime;

use daemon::chain;

use super::super::Sentence;
use super::super::fetch;
use super::super::reach::{self, Reach};
use crate::apply::{self, Held, Kept, Material, Transport};
use crate::architecture::Architecture;
use crate::facts::{self, Machine};
use crate::judge;
use crate::layout;
use crate::plan::Trust;
use crate::render::{self, Known, Newcomers};
use crate::resource::Authority;
use crate::spec::{Cluster, Host, Role};
use crate::stock::Wanted;
use crate::transport::Piped;
use crate::transport::asked::{self, Locked};

/// etcd would come up with it, and serve it as this cluster's.
const STALE: &str = "/var/lib/etcd/member is there, which this host's journal knows nothing of: \
                     it is another cluster's data; take that one down with the tool that made \
                     it, or, when nobody needs the data, move it away: mv \
                     /var/lib/etcd/member /var/lib/etcd/member.before; then apply again";

/// Whether what is planned is to be done.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Meant {
    /// It is shown, and nothing is touched.
    Shown,
    /// It is done.
    Done,
}

/// A host on its way to what it is to be.
pub(super) struct Site<'a> {
    pub(super) host: &'a Host,
    pub(super) way: Piped,
    pub(super) architecture: Architecture,
    pub(super) known: Known,
    /// Whether it is to become a node itself.
    pub(super) newcomer: Newcomers,
    /// The machine, and when it said what it is.
    pub(super) machine: Machine,
    pub(super) asked: SystemTime,
    /// Why it is not worked on, although it answers.
    pub(super) refused: Option<String>,
}

/// Hosts that are worked on, by their names.
pub(super) type Sites<'a> = BTreeMap<String, Site<'a>>;
/// Those that are not, with the reason.
pub(super) type Lost = BTreeMap<String, String>;

/// Every host that answers, and why the others do not.
pub(super) fn all<'a>(reach: &Reach, cluster: &'a Cluster) -> (Sites<'a>, Lost) {
    let (mut sites, mut lost) = (Sites::new(), Lost::new());
    thread::scope(|scope| {
        let tries: Vec<_> = cluster
            .hosts
            .iter()
            .map(|host| (host, scope.spawn(move || site(reach, host))))
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

fn site<'a>(reach: &Reach, host: &'a Host) -> Result<Site<'a>, String> {
    let mut way = reach.way(host)?;
    let machine = reach::machine(&mut way)?;
    let asked = SystemTime::now();
    let architecture = Architecture::of_machine(&machine.processor);
    let architecture = architecture.map_err(|error| error.to_string())?;
    let address = host.address();
    let interface = machine.interface(address).map(str::to_owned);
    let newcomers = match is_node(host) && !machine.joined {
        true => Newcomers::Expected,
        false => Newcomers::None,
    };
    let interface = interface.ok_or_else(|| {
        format!("none of its interfaces has {address}; is this the right machine?")
    })?;
    let stale = host.is(Role::Etcd) && machine.system.has_store();
    Ok(Site {
        host,
        way,
        architecture,
        known: Known {
            interface,
            resolv_conf: machine.resolv_conf.clone(),
            newcomers,
            dials: machine.dials.clone().filter(|_| machine.joined),
        },
        newcomer: newcomers,
        machine,
        asked,
        refused: stale.then(|| STALE.to_owned()),
    })
}

/// Has the hosts to itself. What a cluster rests on is locked host by host, in the order of the
/// description: of two operators who begin at once the first is nowhere second, and the other
/// has nothing. Each of them with a part would take off a part of etcd each. Who keeps it is
/// named with the host; then nothing is to be done anywhere. A node that somebody keeps is lost
/// by itself.
pub(super) fn locked(
    cluster: &Cluster,
    sites: &mut Sites<'_>,
    lost: &mut Lost,
) -> Result<(), (String, String)> {
    let rests = |host: &Host| host.is(Role::ControlPlane) || host.is(Role::Etcd);
    for host in cluster.hosts.iter().filter(|host| rests(host)) {
        let Some(site) = sites.get_mut(&host.name) else {
            continue;
        };
        match reach::locked(&mut site.way) {
            Ok(Locked::Ours) => {}
            Ok(Locked::Held(holder)) => return Err((host.name.clone(), holder)),
            Err(error) => {
                sites.remove(&host.name);
                lost.insert(host.name.clone(), error);
            }
        }
    }
    let kept: Vec<_> = thread::scope(|scope| {
        let nodes = sites.values_mut().filter(|site| !rests(site.host));
        let tries: Vec<_> = nodes
            .map(|site| (site.host, scope.spawn(|| reach::lock(&mut site.way))))
            .collect();
        let joined = tries.into_iter().filter_map(|(host, one)| {
            let died = |_| Err("its thread died".to_owned());
            let error = one.join().unwrap_or_else(died).err()?;
            Some((host.name.clone(), error))
        });
        joined.collect()
    });
    for (host, error) in kept {
        sites.remove(&host);
        lost.insert(host, error);
    }
    Ok(())
}

/// Why no host is worked on while another operator keeps one.
pub(super) fn kept_out(host: &str, holder: &str) -> String {
    format!("not begun: {host} is another operator's for the time being: {holder}")
}

/// Has these not worked on.
pub(super) fn refuse(sites: &mut Sites<'_>, why: &Lost) {
    for (name, why) in why {
        if let Some(site) = sites.get_mut(name) {
            site.refused = Some(why.clone());
        }
    }
}

/// Those that are not worked on, although they answer: the others need what they know.
pub(super) fn refused(sites: &Sites<'_>) -> Lost {
    let refused = sites.iter().filter_map(|(name, site)| {
        let why = site.refused.clone()?;
        Some((name.clone(), why))
    });
    refused.collect()
}

/// The programs that the hosts are to hold.
pub(super) fn wanted(cluster: &Cluster, sites: &Sites<'_>) -> Wanted {
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
pub(super) fn unsigned(cluster: &Cluster, sites: &Sites<'_>) -> String {
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

/// A host whose kubelet shows the certificate of another cluster is a newcomer, whatever authority
/// lies beside that. When one host is a newcomer, every master lets it in.
pub(super) fn expect(sites: &mut Sites<'_>, material: &impl Trust) {
    let authority = material.certificate(Authority::Kubernetes);
    for site in sites.values_mut().filter(|site| is_node(site.host)) {
        if authority.is_some_and(|authority| stranger(&site.machine, authority)) {
            site.newcomer = Newcomers::Expected;
            site.known.newcomers = Newcomers::Expected;
            site.known.dials = None;
        }
    }
    let expected = |site: &Site<'_>| site.known.newcomers == Newcomers::Expected;
    if sites.values().any(expected) {
        for site in sites.values_mut() {
            site.known.newcomers = Newcomers::Expected;
        }
    }
}

/// A master's own kubelet is let in without a token.
pub(super) fn is_node(host: &Host) -> bool {
    host.is(Role::Node) && !host.is(Role::ControlPlane)
}

fn stranger(machine: &Machine, authority: &str) -> bool {
    let now = SystemTime::now();
    let shows = machine.shows.as_ref();
    shows.is_some_and(|pem| judge::stands(pem, authority, now).is_err())
}

/// The authorities to work with.
pub(super) fn authorities(
    sites: &mut Sites<'_>,
    lost: &Lost,
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
    if let Some(text) = files.remove(apply::PLACE) {
        return Ok(Kept::All(text));
    }
    let certificate = layout::certificate(Authority::Kubernetes.name());
    let wanted = facts::Wanted {
        paths: vec![certificate.clone()],
        ..facts::Wanted::default()
    };
    let facts = asked::looked(way, wanted).map_err(|error| error.to_string())?;
    let there = facts.entries.contains_key(&certificate);
    Ok(match there && facts.laid.contains(&certificate) {
        true => Kept::Lost,
        false => Kept::None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_shows_a_certificate_of_another_cluster_is_a_stranger() {
        let now = SystemTime::now();
        let [own, other] = [(), ()].map(|()| pki::Authority::new("a", now).unwrap());
        let profile = pki::Profile::client("system:node:n1", &["system:nodes"]);
        let pem = |authority: &pki::Authority, at| {
            Some(authority.issue(&profile, at).unwrap().certificate_pem)
        };
        for (shows, wanted) in [
            (None, false),
            (pem(&own, now), false),
            (pem(&own, now - pki::LEAF_LIFETIME * 2), true),
            (pem(&other, now), true),
        ] {
            let machine = Machine {
                // By what lies beside it.
                joined: true,
                shows,
                ..Machine::default()
            };
            assert_eq!(stranger(&machine, own.certificate_pem()), wanted);
        }
    }
}
