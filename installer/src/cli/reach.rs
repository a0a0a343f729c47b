//! Asking the hosts of a description: all at once, each over its own way.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::OnceLock;
use std::thread;

use clap::Args;
use daemon::chain;
use serde_json::Value;

use super::{Sentence, SpecFile};
use crate::agent::{Answer, Order, Question};
use crate::apply::Transport;
use crate::facts::Machine;
use crate::spec::{Cluster, Host};
use crate::transport::asked::{self, Locked};
use crate::transport::{Agents, Here, Named, Piped, Ssh, is_root};

/// How hosts are reached.
#[derive(Debug, Args)]
pub(super) struct Reach {
    #[command(flatten)]
    spec: SpecFile,
    /// This machine is the host of that name, and is not reached over SSH. Without it, it is the
    /// one whose name and address it has, for root.
    #[arg(long)]
    local: Option<String>,
    #[arg(skip)]
    here: OnceLock<Here>,
    /// These hosts alone.
    #[arg(long)]
    host: Vec<String>,
    /// The program that is put on hosts of another architecture, or instead of this one; once
    /// for each.
    #[arg(long, value_name = "[ARCH=]PATH")]
    agent: Vec<Named>,
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
        let cluster = super::described(path)?;
        for name in self.host.iter().chain(&self.local) {
            super::host(&cluster, path, name)?;
        }
        Ok(cluster)
    }

    /// Holds other names of hosts against the description, and against those that were named.
    pub(super) fn has(
        &self,
        cluster: &Cluster,
        names: &[String],
    ) -> Result<(), Sentence> {
        for name in names {
            super::host(cluster, &self.spec.spec, name)?;
            if !self.chosen(name) {
                return Err(format!("{name} is left out by --host: add --host {name}"));
            }
        }
        Ok(())
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
        let chosen = |host: &&Host| of(host) && self.chosen(&host.name);
        let hosts = cluster.hosts.iter().filter(chosen);
        Ways {
            reach: self,
            hosts: hosts.map(|host| (host, None)).collect(),
        }
    }

    /// The description's file.
    pub(super) fn path(&self) -> &Path {
        &self.spec.spec
    }

    /// Whether a host is among those that were named; all are, when none was.
    pub(super) fn chosen(&self, name: &str) -> bool {
        self.host.is_empty() || self.host.iter().any(|one| one == name)
    }

    /// A way to a host.
    pub(super) fn way(&self, host: &Host) -> Result<Piped, String> {
        let here = self.here.get_or_init(Here::look);
        let local = match &self.local {
            Some(name) => *name == host.name,
            None => here.is(host),
        };
        if local {
            return Piped::local(Path::new("/")).map_err(|error| chain(&error));
        }
        let agents = Agents::of(&self.agent).map_err(|error| chain(&error))?;
        let way = Piped::over(Ssh::to(&host.ssh, self.ssh_config.as_deref()), &agents);
        way.map_err(|error| {
            let way_out = here.way_out(host).map(|way_out| format!("; {way_out}"));
            format!("{}{}", chain(&error), way_out.unwrap_or_default())
        })
    }
}

/// Ways to hosts, kept from one question to the next.
pub(super) struct Ways<'a> {
    reach: &'a Reach,
    hosts: Vec<(&'a Host, Option<Piped>)>,
}

impl<'a> Ways<'a> {
    /// The ways to those that `of` takes and these do not lead to, none of them gone yet.
    pub(super) fn others(
        &self,
        cluster: &'a Cluster,
        of: impl Fn(&Host) -> bool,
    ) -> Self {
        let known = |host: &Host| self.hosts.iter().any(|(one, _)| one.name == host.name);
        let hosts = cluster.hosts.iter().filter(|host| of(host) && !known(host));
        Self {
            reach: self.reach,
            hosts: hosts.map(|host| (host, None)).collect(),
        }
    }

    /// Those to the hosts that have answered, by their names.
    pub(super) fn open(self) -> BTreeMap<String, Piped> {
        let hosts = self.hosts.into_iter();
        hosts
            .filter_map(|(host, way)| Some((host.name.clone(), way?)))
            .collect()
    }

    /// Leaves the others alone from then on.
    pub(super) fn retain(&mut self, keep: impl Fn(&str) -> bool) {
        self.hosts.retain(|(host, _)| keep(&host.name));
    }

    /// Asks all at once. A way on which something failed is gone anew the next time.
    pub(super) fn ask<T: Send>(
        &mut self,
        ask: impl Fn(&Host, &mut Piped) -> Result<T, String> + Sync,
    ) -> Answers<T> {
        self.ask_of(|_| true, ask)
    }

    /// Asks those that `of` takes.
    pub(super) fn ask_of<T: Send>(
        &mut self,
        of: impl Fn(&Host) -> bool,
        ask: impl Fn(&Host, &mut Piped) -> Result<T, String> + Sync,
    ) -> Answers<T> {
        let (reach, ask) = (self.reach, &ask);
        thread::scope(|scope| {
            let hosts = self.hosts.iter_mut().filter(|(host, _)| of(host));
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
pub(super) fn asked(way: &mut impl Transport, order: Order) -> Result<Answer, String> {
    asked::asked(way, order).map_err(|error| error.to_string())
}

/// What a program of the host says.
pub(super) fn told(
    way: &mut impl Transport,
    question: Question,
) -> Result<Value, String> {
    asked::told(way, question).map_err(|error| error.to_string())
}

/// What the machine is.
pub(super) fn machine(way: &mut impl Transport) -> Result<Machine, String> {
    asked::machine(way).map_err(|error| error.to_string())
}

/// What is in these files, of those that are there.
pub(super) fn fetched(
    way: &mut impl Transport,
    paths: Vec<String>,
) -> Result<BTreeMap<String, String>, String> {
    asked::fetched(way, paths).map_err(|error| error.to_string())
}

/// Keeps other operators from a host while this one is at work there.
pub(super) fn lock(way: &mut impl Transport) -> Result<(), String> {
    match locked(way)? {
        Locked::Ours => Ok(()),
        Locked::Held(holder) => Err(holder),
    }
}

/// The same; another operator is no error.
pub(super) fn locked(way: &mut impl Transport) -> Result<Locked, String> {
    asked::lock(way, who()).map_err(|error| error.to_string())
}

/// Who is at work, for whoever comes second: the person, also behind sudo(8).
pub(super) fn who() -> String {
    let set = |name| std::env::var(name).ok().filter(|value| !value.is_empty());
    let user = ["SUDO_USER", "USER", "LOGNAME"].into_iter().find_map(set);
    // Who comes without a login says nothing of himself.
    let user =
        user.unwrap_or_else(|| if is_root() { "root" } else { "somebody" }.to_owned());
    let here = std::fs::read_to_string("/proc/sys/kernel/hostname").unwrap_or_default();
    format!("{user} on {}", here.trim())
}
