//! Two operators who begin in one moment.

use std::fs;
use std::sync::Barrier;
use std::thread;

use super::hosts::{Hosts, Run};
use super::safe::{ETCD, MASTERS, described};
use super::{Tried, holds};

/// More than an agent waits for another operator's to end.
const SLOW: &str = "5";

/// Two that begin in the same moment, on bare hosts and on those of a cluster: each time one has
/// all hosts, and the other none and the name of the first.
pub(super) fn begun() -> Tried {
    let hosts = Hosts::new()?;
    for flags in ["", ETCD] {
        described(&hosts, flags)?;
        fs::write(hosts.root(MASTERS[0]).join("run/slow"), SLOW)?;
        let [one, other] = both(&hosts)?;
        let (won, lost, winner) = match one.ended(0) {
            Ok(won) => (won, other.ended(1)?, "ada"),
            Err(_) => (other.ended(0)?, one.ended(1)?, "eve"),
        };
        holds(&won, "m1: ")?;
        holds(&lost, &format!("m1: FAILED: {winner} on "))?;
        for name in ["m2", "m3", "n1"] {
            let why = format!("{name}: FAILED: not begun: m1 is another operator's");
            holds(&lost, &why)?;
        }
        let log = hosts.log()?;
        for host in MASTERS {
            let started = |line: &&String| line.ends_with("start etcd.service");
            let of = log.iter().filter(|line| line.starts_with(host));
            if of.filter(|line| started(line)).count() != 1 {
                return Err(format!("{host}:\n{}", log.join("\n")).into());
            }
        }
        hosts.run(&["plan"])?.ended(0)?;
    }
    Ok(())
}

/// `apply` by ada and by eve at once.
fn both(hosts: &Hosts) -> Tried<[Run; 2]> {
    let gate = Barrier::new(2);
    let run = |name: &str| {
        gate.wait();
        let line = format!("USER={name} XDG_STATE_HOME=$PWD/{name} sternpost apply");
        hosts.shell(&line).map_err(|error| format!("{error:?}"))
    };
    thread::scope(|scope| {
        let run = &run;
        let [ada, eve] = ["ada", "eve"].map(|name| scope.spawn(move || run(name)));
        let died = |_| "a thread died";
        Ok([ada.join().map_err(died)??, eve.join().map_err(died)??])
    })
}
