//! Asking the hosts of a description: all at once, each over its own way.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::thread;

use clap::Args;
use daemon::chain;
use serde_json::Value;

use super::{Sentence, SpecFile};
use crate::agent::{Answer, Order, Question};
use crate::apply::Transport;
use crate::facts::Machine;
use crate::spec::{self, Cluster, Host};
use crate::transport::{Piped, Ssh};

/// How hosts are reached.
#[derive(Debug, Args)]
pub(super) struct Reach {
    #[command(flatten)]
    spec: SpecFile,
    /// This machine is the host of that name, and is not reached over SSH.
    #[arg(long)]
    local: Option<String>,
    /// These hosts alone.
    #[arg(long)]
    host: Vec<String>,
    /// The program that is put on the hosts; by default this one.
    #[arg(long)]
    agent: Option<PathBuf>,
    /// Configuration for ssh, instead of its own (ssh -F).
    #[arg(long)]
    ssh_config: Option<PathBuf>,
}

/// What came of asking each host.
pub(super) type Answers<T> = BTreeMap<String, Result<T, String>>;

impl Reach {
    /// The description, with every named host in it.
    pub(super) fn cluster(&self) -> Result<Cluster, Sentence> {
        let path = &self.spec.spec;
        let cluster = spec::read(path)
            .map_err(|errors| errors.to_string())?
            .cluster;
        for name in self.host.iter().chain(&self.local) {
            super::host(&cluster, path, name)?;
        }
        Ok(cluster)
    }

    /// Asks every chosen host that `of` takes.
    pub(super) fn each<T: Send>(
        &self,
        cluster: &Cluster,
        of: impl Fn(&Host) -> bool,
        ask: impl Fn(&Host, &mut Piped) -> Result<T, String> + Sync,
    ) -> Answers<T> {
        self.ways(cluster, of).ask(ask)
    }

    /// The ways to every chosen host that `of` takes, none of them gone yet.
    pub(super) fn ways<'a>(
        &'a self,
        cluster: &'a Cluster,
        of: impl Fn(&Host) -> bool,
    ) -> Ways<'a> {
        let chosen = |host: &&Host| {
            of(host) && (self.host.is_empty() || self.host.contains(&host.name))
        };
        let hosts = cluster.hosts.iter().filter(chosen);
        Ways {
            reach: self,
            hosts: hosts.map(|host| (host, None)).collect(),
        }
    }

    fn way(&self, host: &Host) -> Result<Piped, String> {
        let way = if self.local.as_deref() == Some(host.name.as_str()) {
            Piped::local(Path::new("/"))
        } else {
            let own = std::env::current_exe().map_err(|error| error.to_string())?;
            let program = self.agent.clone().unwrap_or(own);
            Piped::over(Ssh::to(&host.ssh, self.ssh_config.as_deref()), &program)
        };
        way.map_err(|error| chain(&error))
    }
}

/// Ways to hosts, kept from one question to the next.
pub(super) struct Ways<'a> {
    reach: &'a Reach,
    hosts: Vec<(&'a Host, Option<Piped>)>,
}

impl Ways<'_> {
    /// Asks all at once. A way on which something failed is gone anew the next time.
    pub(super) fn ask<T: Send>(
        &mut self,
        ask: impl Fn(&Host, &mut Piped) -> Result<T, String> + Sync,
    ) -> Answers<T> {
        let (reach, ask) = (self.reach, &ask);
        thread::scope(|scope| {
            let hosts = self.hosts.iter_mut();
            let tries: Vec<_> = hosts
                .map(|(host, kept)| {
                    let host: &Host = host;
                    let work = move || {
                        let mut way = match kept.take() {
                            Some(way) => way,
                            None => reach.way(host)?,
                        };
                        let answer = ask(host, &mut way)?;
                        *kept = Some(way);
                        Ok(answer)
                    };
                    (host.name.clone(), scope.spawn(work))
                })
                .collect();
            let joined = tries.into_iter().map(|(name, one)| {
                let died = |_| Err("its thread died".to_owned());
                (name, one.join().unwrap_or_else(died))
            });
            joined.collect()
        })
    }
}

/// Gives one order; what was refused is an error.
pub(super) fn asked(way: &mut Piped, order: Order) -> Result<Answer, String> {
    let answer = way.ask(order).map_err(|error| chain(&error))?;
    if let Answer::Failed { error, .. } = answer {
        return Err(error);
    }
    Ok(answer)
}

/// What a program of the host says.
pub(super) fn told(way: &mut Piped, question: Question) -> Result<Value, String> {
    let answer = asked(way, Order::Ask(question))?;
    let Answer::Told(value) = answer else {
        return Err(format!("the agent answered {answer:?}"));
    };
    Ok(value)
}

/// What the machine is.
pub(super) fn machine(way: &mut Piped) -> Result<Machine, String> {
    let answer = asked(way, Order::Survey)?;
    let Answer::Machine(machine) = answer else {
        return Err(format!("the agent answered {answer:?}"));
    };
    Ok(machine)
}

/// What is in these files, of those that are there.
pub(super) fn fetched(
    way: &mut Piped,
    paths: Vec<String>,
) -> Result<BTreeMap<String, String>, String> {
    let answer = asked(way, Order::Fetch(paths))?;
    let Answer::Fetched(files) = answer else {
        return Err(format!("the agent answered {answer:?}"));
    };
    Ok(files)
}
