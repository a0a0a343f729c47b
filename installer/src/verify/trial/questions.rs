//! What Pods and hosts are asked, and what is made of their answers.

use std::collections::BTreeSet;
use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use super::super::pods::{self, Names, Placed, Servers};
use super::super::workload;
use super::super::{Finding, Verdict};
use super::Trial;
use super::site::Site;
use crate::agent::Question;
use crate::apply::Transport;
use crate::pod::{self, Asked, Heard, Told};
use crate::spec::{self, Role};

/// What Pods and hosts are asked.
pub(super) struct Questions<'a> {
    pub(super) trial: &'a Trial<'a>,
    /// Those that answer.
    pub(super) pods: &'a [Placed],
    /// The Service's addresses.
    pub(super) service: &'a [IpAddr],
    /// Its port on every node.
    pub(super) port: u16,
}

impl Questions<'_> {
    fn asked(&self, names: &Names, servers: &[&Servers]) -> Asked {
        let patience = self.trial.pace.answers.as_millis();
        Asked {
            name_servers: Vec::new(),
            names: names.iter().map(|(name, _)| name.clone()).collect(),
            servers: servers
                .iter()
                .flat_map(|some| some.iter().map(|(server, _)| *server))
                .collect(),
            patience: u64::try_from(patience).unwrap_or(u64::MAX),
        }
    }

    /// Names that every Pod is to find: one that is always there, and one that is new.
    fn names(&self) -> Names {
        let networks = &self.trial.cluster.networks;
        let domain = &networks.domain;
        let api = networks.services.first().and_then(spec::api_address);
        vec![
            (
                format!("kubernetes.default.svc.{domain}"),
                api.into_iter().collect(),
            ),
            (self.trial.workload.name(domain), self.service.to_vec()),
        ]
    }

    fn services(&self) -> Servers {
        let port = workload::SERVICE_PORT;
        let server = |address: &IpAddr| (SocketAddr::new(*address, port), None);
        self.service.iter().map(server).collect()
    }

    /// The Service's port on every node, at each of its addresses of the Service's families.
    fn node_ports(&self) -> Servers {
        let families: BTreeSet<_> = self.service.iter().map(IpAddr::is_ipv4).collect();
        let nodes = self.trial.cluster.with(Role::Node);
        let all = nodes.flat_map(|host| host.addresses.iter());
        let all = all.filter(|address| families.contains(&address.is_ipv4()));
        all.map(|address| (SocketAddr::new(*address, self.port), None))
            .collect()
    }

    /// What a Pod sees, which it says by `kubectl exec`.
    pub(super) fn inside<T: Transport + Send>(
        &self,
        site: &mut Site<'_, T>,
        pod: &Placed,
    ) {
        let others = self.pods.iter().filter(|other| other.name != pod.name);
        let others = others.flat_map(|other| {
            let server = |address: &IpAddr| SocketAddr::new(*address, pod::PORT);
            let name = || Some(other.name.clone());
            other
                .addresses
                .iter()
                .map(move |address| (server(address), name()))
        });
        let (names, others, services) = (self.names(), others.collect(), self.services());
        let asked = self.asked(&names, &[&others, &services]);
        let Some(told) = self.executed(site, pod, &asked) else {
            return;
        };
        let (first, rest) = told
            .servers
            .split_at_checked(others.len())
            .unwrap_or((&told.servers, &[]));
        let tell = |site: &mut Site<'_, T>, check, took, verdict| {
            let took = Duration::from_millis(took);
            site.tell(Finding::new(&pod.node, check, verdict, took));
        };
        let verdict = pods::names(&told, &names);
        tell(site, "DNS in its Pod", longest(&told.names), verdict);
        let verdict = match others.is_empty() {
            true => Verdict::Skipped("there is no other Pod"),
            false => pods::servers(first, &others),
        };
        tell(site, "Pod to Pod", longest(first), verdict);
        let verdict = pods::servers(rest, &services);
        tell(site, "Service from its Pod", longest(rest), verdict);
    }

    /// What a Pod says of what it is asked, by the first way that leads to it; the others are
    /// gone as well.
    fn executed<T: Transport + Send>(
        &self,
        site: &mut Site<'_, T>,
        pod: &Placed,
        asked: &Asked,
    ) -> Option<Told> {
        let mut told = None;
        for (inside, by) in self.trial.through(pod) {
            let asked = match &told {
                None => asked.clone(),
                Some(_) => Asked::default(),
            };
            let check = format!("exec through {by}");
            site.check_on(&pod.node, check, |site| {
                let said = site.ask(Question::Inside(inside, asked))?;
                let said: Told = serde_json::from_value(said)
                    .map_err(|_| "the Pod says something else".to_owned())?;
                told.get_or_insert(said);
                Ok(format!("{} answers", pod.name))
            });
        }
        told
    }

    /// What every node sees by itself, and a master that is none.
    pub(super) fn outside<T: Transport + Send>(
        &self,
        site: &mut Site<'_, T>,
        nodes: &BTreeSet<String>,
    ) {
        let dns = self.trial.cluster.networks.dns.clone();
        let (names, services, ports) = (self.names(), self.services(), self.node_ports());
        let on_node = Asked {
            name_servers: dns,
            ..self.asked(&names, &[&services, &ports])
        };
        let none = Servers::new();
        let elsewhere = self.asked(&Names::new(), &[&none, &ports]);
        for (host, answer) in site.told_by_all(nodes, &on_node, &elsewhere) {
            let told: Told = match answer {
                Ok(told) => told,
                Err(error) => {
                    let verdict = Verdict::Bad(error);
                    let check = match nodes.contains(&host) {
                        true => "Service from the host",
                        false => "port of every node",
                    };
                    site.tell(Finding::new(&host, check, verdict, Duration::ZERO));
                    continue;
                }
            };
            let is_node = nodes.contains(&host);
            let count = if is_node { services.len() } else { 0 };
            let (first, rest) = told
                .servers
                .split_at_checked(count)
                .unwrap_or((&told.servers, &[]));
            let mut tell = |check: &str, took, verdict| {
                let took = Duration::from_millis(took);
                site.tell(Finding::new(&host, check, verdict, took));
            };
            if is_node {
                let verdict = pods::names(&told, &names);
                tell("DNS from the host", longest(&told.names), verdict);
                let verdict = pods::servers(first, &services);
                tell("Service from the host", longest(first), verdict);
            }
            let verdict = pods::servers(rest, &ports);
            tell("port of every node", longest(rest), verdict);
        }
    }
}

/// What the slowest took, ms.
fn longest<T>(heard: &[Heard<T>]) -> u64 {
    heard.iter().map(|one| one.took).max().unwrap_or(0)
}
