//! Hosts that are asked, the master that speaks for the API, and whoever hears what is found.

use std::collections::{BTreeMap, BTreeSet};
use std::thread::{self, park_timeout};
use std::time::{Duration, Instant};

use serde_json::Value;

use super::super::{Finding, Verdict};
use super::Pace;
use crate::agent::{Order, Question};
use crate::apply::Transport;
use crate::pod::{Asked, Told};
use crate::spec::{Cluster, Role};
use crate::transport::asked;

/// What an API server answers, by kubectl.
const ANSWERED: &str = "Error from server";
/// Answers about the server itself: another may be well.
const UNWELL: [&str; 5] = [
    "(ServiceUnavailable)",
    "(InternalError)",
    "(Timeout)",
    "(TooManyRequests)",
    "etcdserver:",
];

pub(super) struct Site<'a, T> {
    pace: &'a Pace,
    stop: &'a (dyn Fn() -> bool + Sync),
    ways: &'a mut BTreeMap<String, T>,
    masters: Vec<String>,
    told: &'a mut dyn FnMut(Finding),
}

/// Has something done, with a reason for people when it is not.
pub(super) fn done(way: &mut impl Transport, order: Order) -> Result<(), String> {
    asked::done(way, order).map_err(|error| error.to_string())
}

pub(super) fn told(
    way: &mut impl Transport,
    question: Question,
) -> Result<Value, String> {
    asked::told(way, question).map_err(|error| error.to_string())
}

/// Whether every API server would say so.
fn decided(error: &str) -> bool {
    error.contains(ANSWERED) && !UNWELL.iter().any(|one| error.contains(one))
}

impl<'a, T: Transport + Send> Site<'a, T> {
    pub(super) fn new(
        cluster: &Cluster,
        pace: &'a Pace,
        stop: &'a (dyn Fn() -> bool + Sync),
        ways: &'a mut BTreeMap<String, T>,
        told: &'a mut dyn FnMut(Finding),
    ) -> Self {
        let masters = cluster.with(Role::ControlPlane);
        let masters = masters.map(|host| host.name.clone());
        let masters = masters.filter(|name| ways.contains_key(name)).collect();
        Self {
            pace,
            stop,
            ways,
            masters,
            told,
        }
    }

    pub(super) fn has_master(&self) -> bool {
        !self.masters.is_empty()
    }

    pub(super) fn tell(&mut self, finding: Finding) {
        (self.told)(finding);
    }

    /// Nothing of it can be asked.
    pub(super) fn skipped(&mut self, why: &'static str) {
        let verdict = Verdict::Skipped(why);
        self.tell(Finding::new("-", "Pods", verdict, Duration::ZERO));
    }

    /// Whether to go on; that it is not is a finding.
    pub(super) fn going(&mut self) -> Option<()> {
        if !(self.stop)() {
            return Some(());
        }
        let verdict = Verdict::Bad("the operator has stopped it".to_owned());
        self.tell(Finding::new("-", "Pods", verdict, Duration::ZERO));
        None
    }

    /// A check by the master; nothing when it is bad.
    pub(super) fn check(
        &mut self,
        name: &str,
        check: impl FnOnce(&mut Self) -> Result<String, String>,
    ) -> Option<()> {
        let host = self.masters.first().cloned().unwrap_or_default();
        self.check_on(&host, name.to_owned(), check)
    }

    /// A check about a host; nothing when it is bad.
    pub(super) fn check_on(
        &mut self,
        host: &str,
        name: String,
        check: impl FnOnce(&mut Self) -> Result<String, String>,
    ) -> Option<()> {
        let finding = Finding::timed(host, name, || Verdict::of(check(self)));
        let good = !finding.is_bad();
        self.tell(finding);
        good.then_some(())
    }

    /// By the first master that does it: one that dies meanwhile does not end the check. What
    /// an API server has refused, the others refuse too: its word counts, and not that one
    /// behind it is down.
    fn by_master<A>(
        &mut self,
        act: impl Fn(&mut T) -> Result<A, String>,
    ) -> Result<A, String> {
        let mut last = "no control-plane host answers".to_owned();
        for master in &self.masters {
            let Some(way) = self.ways.get_mut(master) else {
                continue;
            };
            match act(way) {
                Ok(answer) => return Ok(answer),
                Err(error) if decided(&error) => return Err(error),
                Err(error) => last = error,
            }
        }
        Err(last)
    }

    pub(super) fn ask(&mut self, question: Question) -> Result<Value, String> {
        self.by_master(|way| told(way, question.clone()))
    }

    pub(super) fn api(&mut self, path: &str) -> Result<Value, String> {
        let path = path.to_owned();
        self.ask(Question::Api { server: None, path })
    }

    pub(super) fn create(&mut self, path: String, object: Value) -> Result<(), String> {
        let order = Order::Create { path, object };
        self.by_master(|way| done(way, order.clone()))
    }

    pub(super) fn delete(&mut self, path: &str) -> Result<(), String> {
        self.by_master(|way| done(way, Order::Delete(path.to_owned())))
    }

    /// Looks again and again until it is so, the time is over, or the operator has enough.
    pub(super) fn until(
        &mut self,
        look: impl FnMut(&mut Self) -> Result<(), String>,
    ) -> Result<(), String> {
        let stop = self.stop;
        self.looking(look, stop)
    }

    /// The same, whatever the operator wants: what was laid down is taken away.
    pub(super) fn until_always(
        &mut self,
        look: impl FnMut(&mut Self) -> Result<(), String>,
    ) -> Result<(), String> {
        self.looking(look, &|| false)
    }

    fn looking(
        &mut self,
        mut look: impl FnMut(&mut Self) -> Result<(), String>,
        stop: &dyn Fn() -> bool,
    ) -> Result<(), String> {
        let deadline = Instant::now() + self.pace.patience;
        loop {
            let Err(why) = look(self) else {
                return Ok(());
            };
            if stop() || Instant::now() >= deadline {
                return Err(why);
            }
            park_timeout(self.pace.every);
        }
    }

    /// A check on all of these hosts at once; those where it is good.
    pub(super) fn on_all(
        &mut self,
        hosts: &BTreeSet<String>,
        name: &str,
        check: impl Fn(&mut T) -> Result<String, String> + Sync,
    ) -> BTreeSet<String> {
        let timed = |host: &str, way: &mut T| {
            Finding::timed(host, name, || Verdict::of(check(way)))
        };
        let mut found = self.at_once(hosts, timed);
        let silent = hosts.iter().filter(|host| !self.ways.contains_key(*host));
        found.extend(silent.map(|host| {
            let verdict = Verdict::Bad("it does not answer".to_owned());
            Finding::new(host, name, verdict, Duration::ZERO)
        }));
        let good = found.iter().filter(|one| !one.is_bad());
        let good = good.map(|one| one.host.clone()).collect();
        found.into_iter().for_each(|one| self.tell(one));
        good
    }

    /// Something that there hardly ever is on these hosts: what was taken away is told. A host
    /// that cannot say what it has is found out by the next check.
    pub(super) fn swept(
        &mut self,
        hosts: &BTreeSet<String>,
        name: &str,
        act: impl Fn(&mut T) -> Result<Vec<String>, String> + Sync,
    ) {
        let timed = |host: &str, way: &mut T| {
            let begun = Instant::now();
            let gone = act(way).unwrap_or_default();
            let said = format!("{} is gone", gone.join(", "));
            let told = Finding::new(host, name, Verdict::Good(said), begun.elapsed());
            (!gone.is_empty()).then_some(told)
        };
        let found = self.at_once(hosts, timed);
        found.into_iter().flatten().for_each(|one| self.tell(one));
    }

    /// Something on all of these hosts, of which nobody needs to hear.
    pub(super) fn quietly_on_all(
        &mut self,
        hosts: &BTreeSet<String>,
        act: impl Fn(&mut T) -> Result<(), String> + Sync,
    ) {
        self.at_once(hosts, |_, way| act(way));
    }

    /// What `hosts` find out, and what every master does that is none of them.
    pub(super) fn told_by_all(
        &mut self,
        hosts: &BTreeSet<String>,
        asked: &Asked,
        elsewhere: &Asked,
    ) -> Vec<(String, Result<Told, String>)> {
        let all = hosts.iter().chain(&self.masters).cloned().collect();
        self.at_once(&all, |host, way| {
            let asked = if hosts.contains(host) {
                asked
            } else {
                elsewhere
            };
            let said = told(way, Question::Here(asked.clone()));
            let read = |said| serde_json::from_value(said).map_err(|e| e.to_string());
            (host.to_owned(), said.and_then(read))
        })
    }

    /// What is in a file of each of these hosts that has it.
    pub(super) fn read(
        &mut self,
        hosts: &BTreeSet<String>,
        path: &str,
    ) -> BTreeMap<String, String> {
        let read = |host: &str, way: &mut T| {
            let files = asked::fetched(way, vec![path.to_owned()]);
            Some((host.to_owned(), files.ok()?.remove(path)?))
        };
        let all = self.at_once(hosts, read);
        all.into_iter().flatten().collect()
    }

    fn at_once<R: Send>(
        &mut self,
        hosts: &BTreeSet<String>,
        act: impl Fn(&str, &mut T) -> R + Sync,
    ) -> Vec<R> {
        let act = &act;
        let ways = self.ways.iter_mut();
        let ways = ways.filter(|(name, _)| hosts.contains(*name));
        thread::scope(|scope| {
            let tries = ways.map(|(name, way)| scope.spawn(move || act(name, way)));
            let tries: Vec<_> = tries.collect();
            // A thread that dies has said why on standard error.
            tries
                .into_iter()
                .filter_map(|one| one.join().ok())
                .collect()
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_server_that_is_not_well_decides_nothing() {
        for (error, wanted) in [
            ("Error from server (NotFound): it is not there", true),
            ("Error from server: admission webhook says no", true),
            ("Error from server (ServiceUnavailable): not yet", false),
            ("Error from server: etcdserver: request timed out", false),
            (
                "The connection to the server 127.0.0.1:6443 was refused",
                false,
            ),
        ] {
            assert_eq!(decided(error), wanted, "{error}");
        }
    }
}
