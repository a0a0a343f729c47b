//! Hosts on their way to what they are to be: reached, looked at, and kept from other operators;
//! and what has to be known of all of them before one is touched.

use std::collections::BTreeMap;
use std::thread;
use std::time::SystemTime;

use daemon::chain;

use super::super::Sentence;
use super::super::fetch;
use super::super::reach;
use super::Apply;
use crate::apply::{self, Held, Material, Transport};
use crate::architecture::Architecture;
use crate::render::{self, Known, Newcomers};
use crate::spec::{Cluster, Host, Role};
use crate::stock::Wanted;
use crate::transport::Piped;

/// A host on its way to what it is to be.
pub(super) struct Site<'a> {
    pub(super) host: &'a Host,
    pub(super) way: Piped,
    pub(super) architecture: Architecture,
    pub(super) known: Known,
}

impl Apply {
    /// Every host that answers, and why the others do not.
    pub(super) fn reach<'a>(
        &self,
        cluster: &'a Cluster,
    ) -> (BTreeMap<String, Site<'a>>, BTreeMap<String, String>) {
        let (mut sites, mut lost) = (BTreeMap::new(), BTreeMap::new());
        thread::scope(|scope| {
            let tries: Vec<_> = cluster
                .hosts
                .iter()
                .map(|host| (host, scope.spawn(|| self.site(host))))
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

    fn site<'a>(&self, host: &'a Host) -> Result<Site<'a>, String> {
        let mut way = self.reach.way(host)?;
        let machine = reach::machine(&mut way)?;
        let architecture = Architecture::of_machine(&machine.processor);
        let architecture = architecture.map_err(|error| error.to_string())?;
        let address = host.address();
        let interface = machine.interface(address).map(str::to_owned);
        let newcomers = match host.is(Role::Node) && !machine.joined {
            true => Newcomers::Expected,
            false => Newcomers::None,
        };
        let interface = interface.ok_or_else(|| {
            format!("none of its interfaces has {address}; is this the right machine?")
        })?;
        // Another machine is not even locked.
        if !self.dry_run {
            reach::lock(&mut way)?;
        }
        Ok(Site {
            host,
            way,
            architecture,
            known: Known {
                interface,
                resolv_conf: machine.resolv_conf,
                newcomers,
            },
        })
    }
}

/// The programs that the hosts are to hold.
pub(super) fn wanted(cluster: &Cluster, sites: &BTreeMap<String, Site<'_>>) -> Wanted {
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
pub(super) fn unsigned(cluster: &Cluster, sites: &BTreeMap<String, Site<'_>>) -> String {
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

/// When one host is a newcomer, every master lets it in.
pub(super) fn expect(sites: &mut BTreeMap<String, Site<'_>>) {
    let expected = |site: &Site<'_>| site.known.newcomers == Newcomers::Expected;
    if sites.values().any(expected) {
        for site in sites.values_mut() {
            site.known.newcomers = Newcomers::Expected;
        }
    }
}

/// The authorities to work with, kept by a master before anything is signed with them.
pub(super) fn authorities(
    sites: &mut BTreeMap<String, Site<'_>>,
    lost: &BTreeMap<String, String>,
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
    Ok(files.remove(apply::PLACE))
}
