//! `sternpost reset`: everything of ours off the hosts, each by its own journal, each step said
//! before it is done.

use std::collections::BTreeMap;
use std::sync::mpsc::{self, SyncSender};
use std::thread;

use clap::Args;
use daemon::exit;
use serde_json::json;

use super::drained;
use super::interrupt::Interrupt;
use super::progress::{Event, Output, Printer};
use super::reach::{self, Answers, Reach, Ways};
use super::{Sentence, leaving, record};
use crate::agent::Order;
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
    #[command(flatten)]
    record: record::Noted,
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
    /// How progress is shown.
    #[arg(short, long, value_enum, default_value_t = Output::Text)]
    output: Output,
}

/// Whoever is told what happens, and who may ask for a stop.
struct Told {
    events: SyncSender<Event>,
    interrupt: Interrupt,
}

impl Reset {
    /// Each host's removal; 1 when a host is silent or a step failed.
    pub(super) fn execute(&self) -> Result<(String, u8), Sentence> {
        let cluster = self.reach.cluster()?;
        if let Some(confirm) = self.confirm.as_ref().filter(|name| **name != cluster.name)
        {
            let name = &cluster.name;
            return Err(format!(
                "--confirm {confirm}: the cluster is called {name}; nothing was touched"
            ));
        }
        let deaf = |error| format!("signals cannot be heard: {error}");
        let interrupt = Interrupt::listen().map_err(deaf)?;
        let mut ways = self.reach.ways(&cluster, |_| true);
        if self.dry_run {
            return self.shown(&cluster, &mut ways);
        }
        let record = self.record.open(&cluster.name, &reach::who(), "reset")?;
        let mut printer = Printer::new(self.output.look(), record);
        // Theirs alone until the end.
        let held = leaving::locked(&cluster, &mut ways);
        let refused = held.as_ref().err().cloned();
        if let Some(error) = refused.or_else(|| self.falls(&cluster, &mut ways)) {
            printer.tell(&Event::Refused {
                error: error.clone(),
            });
            return Ok((self.output.not_told(error), exit::FAILED));
        }
        // Each host sends a line a step; the printer takes them as fast as a terminal does.
        let (events, shown) = mpsc::sync_channel(64);
        let (text, code) = thread::scope(|scope| {
            scope.spawn(move || printer.all(&shown));
            let told = Told { events, interrupt };
            self.told(&cluster, &self.gone(&cluster, ways, &told), &told)
        });
        Ok((self.output.not_told(text), code))
    }

    /// What would go, on all hosts at once.
    fn shown(
        &self,
        cluster: &Cluster,
        ways: &mut Ways<'_>,
    ) -> Result<(String, u8), Sentence> {
        if let Some(refused) = self.falls(cluster, ways) {
            return Ok((refused, exit::FAILED));
        }
        let answers = ways.ask(|_, way| Ok(reset::plan(&inventory(way)?, self.data())));
        let pending = answers.values().flatten().any(|one| !one.steps.is_empty());
        let code = match (answers.values().any(Result::is_err), pending) {
            (true, _) => exit::FAILED,
            (false, true) => exit::PENDING,
            (false, false) => exit::DONE,
        };
        let text = match self.output {
            Output::Json => {
                let all = json!({"removals": goes(&answers), "failed": failed(&answers)});
                serde_json::to_string_pretty(&all).map_err(|error| error.to_string())?
            }
            Output::Text => self.words(cluster, &answers, |host, removal| {
                let mut text = reset::show(host, removal);
                if self.drain && cluster.with(Role::Node).any(|one| one.name == host) {
                    text.push_str(DRAIN);
                }
                text
            }),
        };
        Ok((text, code))
    }

    fn falls(&self, cluster: &Cluster, ways: &mut Ways<'_>) -> Option<String> {
        if self.allow_outage {
            return None;
        }
        let falls = leaving::falls(cluster, ways, &|name| self.reach.chosen(name))?;
        Some(format!(
            "not begun: {falls}; the whole cluster goes without --host, and with --allow-outage \
             these go all the same"
        ))
    }

    fn data(&self) -> Data {
        match self.data {
            true => Data::Remove,
            false => Data::Keep,
        }
    }

    /// What has gone from each host. API servers go before etcd on hosts of its own: one that ends
    /// writes to etcd, and would wait for it.
    fn gone(
        &self,
        cluster: &Cluster,
        mut ways: Ways<'_>,
        told: &Told,
    ) -> Answers<Removal> {
        let stuck = match self.drain {
            true => self.drained(cluster, told),
            false => BTreeMap::new(),
        };
        let free = |host: &Host| !stuck.contains_key(&host.name);
        let removed = |host: &Host, way: &mut Piped| {
            reach::lock(way)?;
            let removal = reset::plan(&inventory(way)?, self.data());
            done(&host.name, way, &removal, told)?;
            Ok(removal)
        };
        let mut answers = Answers::new();
        let batches: [&dyn Fn(&Host) -> bool; 2] =
            [&|host| !is_store_alone(host), &is_store_alone];
        for batch in batches {
            let all = ways.ask_of(|host| free(host) && batch(host), removed);
            for (host, error) in failed(&all) {
                told.failed(host, error);
            }
            answers.extend(all);
        }
        for (host, error) in &stuck {
            told.failed(host, error);
        }
        answers.extend(stuck.into_iter().map(|(host, error)| (host, Err(error))));
        answers
    }

    /// Drains every node that was chosen; why those that are not drained are not.
    fn drained(&self, cluster: &Cluster, told: &Told) -> BTreeMap<String, String> {
        let nodes = cluster.with(Role::Node);
        let nodes = nodes.filter(|host| self.reach.chosen(&host.name));
        let nodes: Vec<_> = nodes.map(|host| host.name.as_str()).collect();
        let masters = cluster.with(Role::ControlPlane);
        let ways = masters.map(|master| (master.name.as_str(), self.reach.way(master)));
        drained::drained(&nodes, ways, |node| {
            let waits_for =
                "its Pods move elsewhere, and the cluster forgets it".to_owned();
            let host = node.to_owned();
            told.tell(Event::Waits { host, waits_for });
            !told.interrupt.asked()
        })
    }

    /// All of it in words, and the exit code. What stays is an event, too.
    fn told(
        &self,
        cluster: &Cluster,
        answers: &Answers<Removal>,
        told: &Told,
    ) -> (String, u8) {
        for (host, removal) in goes(answers) {
            for kept in &removal.kept {
                told.tell(Event::Keeps {
                    host: Some(host.clone()),
                    keeps: reset::stays(kept),
                });
            }
        }
        if let Some(keeps) = self.store(cluster) {
            let (host, keeps) = (None, keeps.trim_end().to_owned());
            told.tell(Event::Keeps { host, keeps });
        }
        let code = match answers.values().any(Result::is_err) {
            true => exit::FAILED,
            false => exit::DONE,
        };
        (self.words(cluster, answers, reset::done), code)
    }

    fn words(
        &self,
        cluster: &Cluster,
        answers: &Answers<Removal>,
        shown: impl Fn(&str, &Removal) -> String,
    ) -> String {
        let lines = answers.iter().map(|(host, answer)| match answer {
            Err(error) => format!("{host}: FAILED: {error}\n"),
            Ok(removal) => shown(host, removal),
        });
        let text: String = lines.chain(self.store(cluster)).collect();
        text.trim_end().to_owned()
    }

    /// What stays in an etcd of others, where a master goes.
    fn store(&self, cluster: &Cluster) -> Option<String> {
        let mut masters = cluster.with(Role::ControlPlane);
        let goes = masters.any(|master| self.reach.chosen(&master.name));
        goes.then(|| reset::store(cluster)).flatten()
    }
}

impl Told {
    fn tell(&self, event: Event) {
        // The printer outlives every sender.
        let _ = self.events.send(event);
    }

    fn failed(&self, host: &str, error: &str) {
        let (host, error) = (host.to_owned(), error.to_owned());
        self.tell(Event::Failed { host, error });
    }
}

fn goes(answers: &Answers<Removal>) -> BTreeMap<&String, &Removal> {
    let all = answers.iter();
    all.filter_map(|(host, answer)| Some((host, answer.as_ref().ok()?)))
        .collect()
}

fn failed(answers: &Answers<Removal>) -> BTreeMap<&String, &String> {
    let all = answers.iter();
    all.filter_map(|(host, answer)| Some((host, answer.as_ref().err()?)))
        .collect()
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
    host: &str,
    way: &mut impl Transport,
    removal: &Removal,
    told: &Told,
) -> Result<(), String> {
    let of = removal.steps.len();
    for (done, step) in removal.steps.iter().enumerate() {
        if told.interrupt.asked() {
            let left = of.saturating_sub(done);
            return Err(format!(
                "stopped before {left} of {of} step(s); the others are done, reset again to go on"
            ));
        }
        let (host, line) = (host.to_owned(), reset::line(step));
        told.tell(Event::Step {
            host,
            number: done.saturating_add(1),
            of,
            step: line.clone(),
        });
        let refused = |error| format!("{line}: {error}; reset again to go on");
        reach::asked(way, Order::Remove(step.clone())).map_err(refused)?;
    }
    let host = host.to_owned();
    told.tell(Event::Done { host, steps: of });
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::path::{Path, PathBuf};

    use super::*;
    use crate::agent::Answer;
    use crate::apply::TransportError;

    /// One that does as it is told, up to the step of that path.
    struct Obedient(&'static str);

    impl Transport for Obedient {
        fn bring(&mut self, file: &Path) -> Result<PathBuf, TransportError> {
            Ok(file.to_owned())
        }

        fn ask(&mut self, order: Order) -> Result<Answer, TransportError> {
            Ok(match format!("{order:?}").contains(self.0) {
                false => Answer::Done,
                true => Answer::Failed {
                    error: "it is busy".to_owned(),
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

    fn removal() -> Removal {
        let step = |path: &str| reset::Step::Folder {
            path: path.to_owned(),
        };
        Removal {
            steps: vec![step("/etc/x"), step("/etc/y")],
            ..Removal::default()
        }
    }

    fn told(interrupt: Interrupt) -> (Result<(), String>, Vec<Event>) {
        let (events, shown) = mpsc::sync_channel(8);
        let told = Told { events, interrupt };
        let ended = done("m1", &mut Obedient("/etc/y"), &removal(), &told);
        drop(told);
        (ended, shown.iter().collect())
    }

    /// Not one step more.
    #[test]
    fn a_stop_is_before_the_next_step() {
        let (ended, events) = told(Interrupt::at_once());
        let wanted =
            "stopped before 2 of 2 step(s); the others are done, reset again to go on";
        assert_eq!(ended, Err(wanted.to_owned()));
        assert_eq!(events, []);
    }

    #[test]
    fn each_step_is_said_before_it_is_done() {
        let (ended, events) = told(Interrupt::default());
        let wanted = "remove folder /etc/y: it is busy; reset again to go on";
        assert_eq!(ended, Err(wanted.to_owned()));
        let step = |number, path: &str| Event::Step {
            host: "m1".to_owned(),
            number,
            of: 2,
            step: format!("remove folder {path}"),
        };
        assert_eq!(events, [step(1, "/etc/x"), step(2, "/etc/y")]);
    }
}
