//! A Pod on every node, asked for what it sees, and all of it taken away again: also when
//! something fails, and when the operator has enough.

mod questions;
mod site;

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use super::pods::{self, Placed};
use super::workload::{self, Workload};
use super::{Finding, Verdict};
use crate::agent::{Inside, Order, Question};
use crate::apply::Transport;
use crate::spec::{Cluster, Leases, Role};
use questions::Questions;
use site::Site;

/// What flannel says of its host's network.
const SUBNET: &str = "/run/flannel/subnet.env";

/// What a run has left that ended before it could take it away is taken by the next one, but
/// never what another operator's run is still at.
const LEFT: Duration = Duration::from_secs(600);

/// How long things may take.
#[derive(Clone, Copy, Debug)]
pub struct Pace {
    /// Until every Pod answers, and until all is gone again.
    pub patience: Duration,
    /// Each question of a Pod: rules of a Service follow it after a moment.
    pub answers: Duration,
    /// Between two looks.
    pub every: Duration,
}

impl Default for Pace {
    fn default() -> Self {
        Self {
            patience: Duration::from_secs(60),
            answers: Duration::from_secs(10),
            every: Duration::from_millis(100),
        }
    }
}

/// A check of what Pods see.
pub struct Trial<'a> {
    cluster: &'a Cluster,
    workload: Workload,
    pace: Pace,
    begun: SystemTime,
    stop: &'a (dyn Fn() -> bool + Sync),
}

impl<'a> Trial<'a> {
    /// One that begins at `now`, by which its objects are named. `stop` says whether the
    /// operator has enough: what is laid down is then taken away.
    #[must_use]
    pub fn new(
        cluster: &'a Cluster,
        pace: Pace,
        now: SystemTime,
        stop: &'a (dyn Fn() -> bool + Sync),
    ) -> Self {
        Self {
            cluster,
            workload: Workload::begun(now),
            pace,
            begun: now,
            stop,
        }
    }

    /// Makes every check by the hosts that answer; each is told as it is made.
    pub fn run<T: Transport + Send>(
        &self,
        ways: &mut BTreeMap<String, T>,
        told: &mut dyn FnMut(Finding),
    ) {
        let nodes = self.cluster.with(Role::Node);
        let nodes: BTreeSet<_> = nodes.map(|host| host.name.clone()).collect();
        let mut site = Site::new(self.cluster, &self.pace, self.stop, ways, told);
        if nodes.is_empty() {
            return site.skipped("no host is to be a node");
        }
        if !site.has_master() {
            return site.skipped("no control-plane host answers");
        }
        self.sweep(&mut site, &nodes);
        let image = self.workload.image();
        let loaded = site.on_all(&nodes, "image", |way| {
            let order = Order::LoadImage(image.clone());
            site::done(way, order).map(|()| "this program, as one".to_owned())
        });
        self.checked(&mut site, &loaded);
        self.cleared(&mut site, &nodes);
    }

    fn sweep<T: Transport + Send>(
        &self,
        site: &mut Site<'_, T>,
        nodes: &BTreeSet<String>,
    ) {
        // A list that cannot be had is found out by the next question.
        let list = site.api(&workload::earlier()).unwrap_or_default();
        let oldest = self.begun.checked_sub(LEFT).unwrap_or(UNIX_EPOCH);
        for name in workload::left(&list, oldest) {
            let path = format!("{}/{name}", workload::NAMESPACES);
            site.check("left by an earlier run", |site| {
                site.delete(&path).map(|()| format!("{name} is gone"))
            });
        }
        // Of a run that was killed after its namespace was gone, too.
        site.swept(nodes, "left by an earlier run", |way| {
            let names = site::told(way, Question::Images)?;
            let names = names.as_str().unwrap_or_default();
            let old = workload::left_images(names, oldest);
            for name in &old {
                site::done(way, Order::UnloadImage(name.clone()))?;
            }
            Ok(old)
        });
    }

    /// From the objects to the last answer; what fails is told, and ends it where nothing
    /// could be asked any longer.
    fn checked<T: Transport + Send>(
        &self,
        site: &mut Site<'_, T>,
        nodes: &BTreeSet<String>,
    ) -> Option<()> {
        site.check("objects", |site| {
            for (path, object) in self.workload.objects() {
                site.create(path, object)?;
            }
            Ok(format!("namespace {}", self.workload.namespace))
        })?;
        let path = self.workload.pods();
        let mut all = Vec::new();
        // Pods that answer are asked, also when others do not.
        site.check("Pods", |site| {
            site.until(|site| {
                all = pods::placed(&site.api(&path)?);
                pods::ready(nodes, &all)
            })?;
            Ok(format!("{} answer", all.len()))
        });
        all.retain(|pod| pod.waits.is_none());
        all.sort_by(|one, other| one.node.cmp(&other.node));
        site.going()?;
        self.addresses(site, &all);
        let (service, port) = self.service(site)?;
        let asked = Questions {
            trial: self,
            pods: &all,
            service: &service,
            port,
        };
        for pod in &all {
            site.going()?;
            asked.inside(site, pod);
            self.logs(site, pod);
        }
        site.going()?;
        asked.outside(site, nodes);
        Some(())
    }

    fn addresses<T: Transport + Send>(&self, site: &mut Site<'_, T>, all: &[Placed]) {
        let subnets = match self.cluster.networks.leases {
            Leases::Kubernetes => {
                pods::subnets(&site.api("/api/v1/nodes").unwrap_or_default())
            }
            Leases::Etcd { .. } => {
                let nodes = all.iter().map(|pod| pod.node.clone()).collect();
                let said = site.read(&nodes, SUBNET);
                let taken = said.into_iter();
                taken
                    .map(|(node, said)| (node, pods::taken(&said)))
                    .collect()
            }
        };
        for pod in all {
            let judged = || pods::addresses(self.cluster, &subnets, pod);
            site.tell(Finding::timed(&pod.node, "Pod address", judged));
        }
    }

    fn service<T: Transport + Send>(
        &self,
        site: &mut Site<'_, T>,
    ) -> Option<(Vec<IpAddr>, u16)> {
        let path = self.workload.service();
        let mut found = None;
        site.check("Service", |site| {
            let object = site.api(&path)?;
            let (addresses, port) =
                workload::service(&object).ok_or("it has no address and port")?;
            let said = format!("{} and port {port} of every node", list(&addresses));
            found = Some((addresses, port));
            Ok(said)
        })?;
        found
    }

    fn logs<T: Transport + Send>(&self, site: &mut Site<'_, T>, pod: &Placed) {
        for (inside, by) in self.through(pod) {
            let begun = Instant::now();
            let verdict = match site.ask(Question::Said(inside)) {
                Ok(words) => pods::said(words.as_str().unwrap_or_default(), pod),
                Err(error) => Verdict::Bad(error),
            };
            let name = format!("logs through {by}");
            site.tell(Finding::new(&pod.node, name, verdict, begun.elapsed()));
        }
    }

    /// A Pod, by whatever clients dial: the name, or each address.
    fn through(&self, pod: &Placed) -> Vec<(Inside, String)> {
        let servers = self.cluster.servers().into_iter();
        let ways = servers.map(|server| {
            let by = server.trim_start_matches("https://").to_owned();
            let inside = Inside {
                server,
                namespace: self.workload.namespace.clone(),
                pod: pod.name.clone(),
            };
            (inside, by)
        });
        ways.collect()
    }

    fn cleared<T: Transport + Send>(
        &self,
        site: &mut Site<'_, T>,
        nodes: &BTreeSet<String>,
    ) {
        let path = self.workload.path();
        site.check("removal", |site| {
            site.delete(&path)?;
            site.until_always(|site| match site.api(&path) {
                Ok(_) => Err("the namespace is there still".to_owned()),
                Err(error) if error.contains("(NotFound)") => Ok(()),
                Err(error) => Err(error),
            })
            .map_err(|why| {
                let namespace = &self.workload.namespace;
                format!("{why}; remove it with: kubectl delete namespace {namespace}")
            })?;
            Ok("nothing is left".to_owned())
        });
        let image = self.workload.image();
        site.quietly_on_all(nodes, |way| {
            site::done(way, Order::UnloadImage(image.clone()))
        });
    }
}

fn list(addresses: &[IpAddr]) -> String {
    let all: Vec<_> = addresses.iter().map(ToString::to_string).collect();
    all.join(", ")
}

#[cfg(test)]
mod tests;
