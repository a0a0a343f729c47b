//! `sternpost reset`: everything of ours off the hosts, each by its own journal.

use std::collections::BTreeMap;

use clap::Args;
use daemon::exit;

use super::interrupt::Interrupt;
use super::reach::{self, Answers, Reach, Ways};
use super::{Sentence, leaving};
use crate::agent::{Order, Question};
use crate::apply::Transport;
use crate::reset::{self, Data, Inventory, Removal};
use crate::spec::{Cluster, Host, Role};
use crate::transport::{Piped, asked};

const DRAIN: &str =
    "  before that: have the cluster move its Pods elsewhere, and forget the node\n";

/// What is asked for.
#[derive(Debug, Args)]
pub(super) struct Reset {
    #[command(flatten)]
    reach: Reach,
    /// Remove data too: what etcd, kubelet and containerd hold, the audit log, what api-lb has
    /// recorded of failures, and the authorities, without which kept data cannot be read.
    #[arg(long)]
    data: bool,
    /// First have the cluster move the Pods of these nodes elsewhere, and forget the nodes.
    /// Without it nothing is moved.
    #[arg(long)]
    drain: bool,
    /// Go on where etcd would be left without its majority, or no API server would be.
    #[arg(long)]
    allow_outage: bool,
    /// Print what would be removed and what stays, and touch nothing. Ends with 3 when there
    /// is something.
    #[arg(long)]
    dry_run: bool,
    /// The name of the cluster, as a word that it is meant.
    #[arg(long, value_name = "CLUSTER", required_unless_present = "dry_run")]
    confirm: Option<String>,
}

impl Reset {
    /// Each host's removal; 1 when a host is silent or a step failed.
    pub(super) fn execute(&self) -> Result<(String, u8), Sentence> {
        let cluster = self.reach.cluster()?;
        if let Some(confirm) = self.confirm.as_ref().filter(|name| **name != cluster.name)
        {
            return Err(format!(
                "--confirm {confirm}: the cluster is called {}; nothing was touched",
                cluster.name
            ));
        }
        let interrupt = Interrupt::listen()
            .map_err(|error| format!("signals cannot be heard: {error}"))?;
        let mut ways = self.reach.ways(&cluster, |_| true);
        if let Some(refused) = self.refused(&cluster, &mut ways) {
            return Ok((refused, exit::FAILED));
        }
        let stuck = match self.drain && !self.dry_run {
            true => self.drained(&cluster),
            false => BTreeMap::new(),
        };
        let free = |host: &Host| !stuck.contains_key(&host.name);
        let removed = |_: &Host, way: &mut Piped| self.removed(way, &interrupt);
        // An API server that ends writes to etcd, and would wait for it.
        let first = |host: &Host| free(host) && !is_store_alone(host);
        let last = |host: &Host| free(host) && is_store_alone(host);
        let mut answers = ways.ask_of(first, removed);
        answers.extend(ways.ask_of(last, removed));
        answers.extend(stuck.into_iter().map(|(host, error)| (host, Err(error))));
        Ok(self.told(&cluster, answers))
    }

    /// Why nothing is touched on any host.
    fn refused(&self, cluster: &Cluster, ways: &mut Ways<'_>) -> Option<String> {
        if !self.dry_run
            && let Err((held, holder)) = leaving::locked(cluster, ways)
        {
            return Some(format!(
                "not begun: {held} is another operator's for the time being: {holder}"
            ));
        }
        if self.allow_outage {
            return None;
        }
        let falls = leaving::falls(cluster, ways, &|name| self.reach.chosen(name))?;
        Some(format!(
            "not begun: {falls}; the whole cluster goes without --host, and with --allow-outage \
             these go all the same"
        ))
    }

    /// What goes, or has gone, from a host.
    fn removed(&self, way: &mut Piped, interrupt: &Interrupt) -> Result<Removal, String> {
        let data = match self.data {
            true => Data::Remove,
            false => Data::Keep,
        };
        if self.dry_run {
            return Ok(reset::plan(&inventory(way)?, data));
        }
        reach::lock(way)?;
        let removal = reset::plan(&inventory(way)?, data);
        done(way, &removal, interrupt)?;
        Ok(removal)
    }

    /// All of it in words, and the exit code.
    fn told(&self, cluster: &Cluster, answers: Answers<Removal>) -> (String, u8) {
        let mut code = exit::DONE;
        let mut text = String::new();
        let mut masters = cluster.with(Role::ControlPlane);
        let stays = masters.any(|master| self.reach.chosen(&master.name));
        let stays = stays.then(|| reset::store(cluster)).flatten();
        for (host, answer) in answers {
            match answer {
                Err(error) => {
                    code = exit::FAILED;
                    text.push_str(&format!("{host}: FAILED: {error}\n"));
                }
                Ok(removal) => {
                    if self.dry_run && !removal.steps.is_empty() && code == exit::DONE {
                        code = exit::PENDING;
                    }
                    text.push_str(&reset::show(&host, &removal));
                    let mut nodes = cluster.with(Role::Node);
                    let node = nodes.any(|one| one.name == host);
                    if self.drain && self.dry_run && node {
                        text.push_str(DRAIN);
                    }
                }
            }
        }
        text.extend(stays);
        (text.trim_end().to_owned(), code)
    }
}

impl Reset {
    /// Drains every node that was chosen, by the first master whose API server is ready; why
    /// those that are not drained are not.
    fn drained(&self, cluster: &Cluster) -> BTreeMap<String, String> {
        let nodes = cluster.with(Role::Node);
        let nodes: Vec<_> = nodes.filter(|host| self.reach.chosen(&host.name)).collect();
        let masters = cluster.with(Role::ControlPlane);
        let ways = masters.map(|master| (master.name.as_str(), self.reach.way(master)));
        let mut way = match ready(ways) {
            Ok(way) => way,
            Err(why) => {
                let all = nodes.iter().map(|host| (host.name.clone(), why.clone()));
                return all.collect();
            }
        };
        let drain = |host: &&Host| {
            let done = asked::done(&mut way, Order::Drain(host.name.clone()));
            let error = done.err()?;
            Some((host.name.clone(), format!("it is not drained: {error}")))
        };
        nodes.iter().filter_map(drain).collect()
    }
}

/// The first way to a master whose API server is ready. One that answers over SSH may have one
/// that is down.
fn ready<'a, T: Transport>(
    ways: impl Iterator<Item = (&'a str, Result<T, String>)>,
) -> Result<T, String> {
    let mut why = Vec::new();
    for (master, way) in ways {
        let ready = way.and_then(|mut way| {
            let path = "/readyz".to_owned();
            reach::told(&mut way, Question::Api { server: None, path })?;
            Ok(way)
        });
        match ready {
            Ok(way) => return Ok(way),
            Err(error) => why.push(format!("{master}: {error}")),
        }
    }
    let why = why.join("; ");
    Err(format!("it is not drained: no API server is ready: {why}"))
}

/// Whether API servers of other hosts are all that a member of etcd is there for.
fn is_store_alone(host: &Host) -> bool {
    host.is(Role::Etcd) && !host.is(Role::ControlPlane)
}

fn inventory(way: &mut Piped) -> Result<Inventory, String> {
    asked::inventory(way).map_err(|error| error.to_string())
}

/// Each step, before which is the place to stop.
fn done(
    way: &mut impl Transport,
    removal: &Removal,
    interrupt: &Interrupt,
) -> Result<(), String> {
    let steps = removal.steps.len();
    for (done, step) in removal.steps.iter().enumerate() {
        if interrupt.asked() {
            let left = steps.saturating_sub(done);
            return Err(format!(
                "stopped before {left} of {steps} step(s); reset again to go on"
            ));
        }
        let refused = |error| format!("{}: {error}", reset::line(step));
        reach::asked(way, Order::Remove(step.clone())).map_err(refused)?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::path::{Path, PathBuf};

    use serde_json::Value;

    use super::*;
    use crate::agent::Answer;
    use crate::apply::TransportError;

    /// A master, and what its kubectl says of the API.
    #[derive(Debug, PartialEq)]
    struct Master(&'static str, Result<(), &'static str>);

    impl Transport for Master {
        fn bring(&mut self, file: &Path) -> Result<PathBuf, TransportError> {
            Ok(file.to_owned())
        }

        fn ask(&mut self, _: Order) -> Result<Answer, TransportError> {
            Ok(match self.1 {
                Ok(()) => Answer::Told(Value::from("ok")),
                Err(error) => Answer::Failed {
                    error: error.to_owned(),
                    said: Vec::new(),
                },
            })
        }
    }

    #[test]
    fn etcd_on_hosts_of_its_own_goes_after_who_uses_it() {
        let alone = |text: &str| -> Vec<bool> {
            let spec = crate::spec::parse("cluster.yaml", text).unwrap();
            spec.cluster.hosts.iter().map(is_store_alone).collect()
        };
        let apart = include_str!("../../tests/spec/dual.yaml");
        assert_eq!(alone(apart), [true, false, false]);
        assert!(!alone(include_str!("../../tests/spec/whole.yaml")).contains(&true));
    }

    /// Not one step more.
    #[test]
    fn a_stop_is_before_the_next_step() {
        let path = "/etc/x".to_owned();
        let removal = Removal {
            steps: vec![reset::Step::Folder { path }],
            ..Removal::default()
        };
        let mut never = Master("m1", Err("it was asked"));
        let stopped = done(&mut never, &removal, &Interrupt::at_once());
        let wanted = "stopped before 1 of 1 step(s); reset again to go on";
        assert_eq!(stopped, Err(wanted.to_owned()));
    }

    #[test]
    fn a_drain_asks_the_first_api_server_that_is_ready() {
        let down = || ("m1", Err("it is down".to_owned()));
        let mute = || ("m2", Ok(Master("m2", Err("connection refused"))));
        let well = || ("m3", Ok(Master("m3", Ok(()))));
        let found = ready([down(), mute(), well()].into_iter()).unwrap();
        assert_eq!(found.0, "m3");
        let none = ready([down(), mute()].into_iter()).unwrap_err();
        assert_eq!(
            none,
            "it is not drained: no API server is ready: m1: it is down; m2: connection refused"
        );
    }
}
