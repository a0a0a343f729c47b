//! The drill of the documents: a component of the host that holds the address dies, and
//! another master looks whether the address answers. systemd starts what died again, whatever
//! becomes of the operator.

use std::collections::BTreeMap;
use std::thread;
use std::time::{Duration, Instant};

use serde::{Deserialize, Serialize};

use super::{Finding, Verdict};
use crate::agent::{Order, Question};
use crate::apply::Transport;
use crate::spec::{Balancer, Cluster, Role};
use crate::status;
use crate::transport::asked;

/// What dies, one after the other: the address must outlast each.
const UNITS: [&str; 2] = ["kube-apiserver.service", "api-lb.service"];
/// How long the address is looked at, ms: systemd waits a second before it starts anything
/// again, and an API server needs some more.
const LOOK: u64 = 6000;
/// The first answers come from before.
const BEFORE: Duration = Duration::from_millis(500);
/// An address that is silent for longer has not been taken over as it is to be: a dead api-lb
/// is noticed by vip-daemon's track within two checks of 100 ms, and one look at the API may
/// itself take a second.
const SILENT: u64 = 3000;

/// What was seen of an address.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Watched {
    /// How often it was asked.
    pub asked: u64,
    /// How often it answered.
    pub answered: u64,
    /// The longest time without an answer, ms.
    pub silent: u64,
}

/// A drill.
pub struct Drill<'a> {
    /// Of which cluster.
    pub cluster: &'a Cluster,
    /// Who makes it: whoever wants to change a host meanwhile is told.
    pub who: &'a str,
    /// Whether the operator has enough.
    pub stop: &'a dyn Fn() -> bool,
}

impl Drill<'_> {
    /// Kills what there is to kill on whoever holds the address by then, one after the other,
    /// and tells what became of the address. What was bad once ends it.
    pub fn run<T: Transport + Send>(
        &self,
        ways: &mut BTreeMap<String, T>,
        told: &mut dyn FnMut(Finding),
    ) {
        if !matches!(self.cluster.balancer, Balancer::Own(_)) {
            return told(skipped("the address is not ours"));
        }
        let masters = self.cluster.with(Role::ControlPlane);
        let masters = masters.map(|host| host.name.clone());
        let masters: Vec<_> = masters.filter(|name| ways.contains_key(name)).collect();
        for master in &masters {
            if let Some(finding) = self.locked(master, ways) {
                return told(finding);
            }
        }
        for unit in UNITS {
            if (self.stop)() {
                return told(skipped("the operator has stopped it"));
            }
            let Some(holder) = masters.iter().find(|name| holds(name, ways)) else {
                return told(skipped("nobody of ours holds an address"));
            };
            let Some(other) = masters.iter().find(|name| *name != holder) else {
                return told(skipped("no other control-plane host answers"));
            };
            let name = format!("drill: {unit} dies");
            let finding = Finding::timed(holder, name, || {
                Verdict::of(died(self.cluster, ways, holder, other, unit))
            });
            let bad = finding.is_bad();
            told(finding);
            if bad {
                return;
            }
        }
    }

    /// Keeps other operators from a host until this one is gone; why not, if not.
    fn locked<T: Transport>(
        &self,
        master: &str,
        ways: &mut BTreeMap<String, T>,
    ) -> Option<Finding> {
        let begun = Instant::now();
        let lock = Order::Lock(self.who.to_owned());
        let error = asked::done(ways.get_mut(master)?, lock).err()?;
        let verdict = Verdict::Bad(error.to_string());
        Some(Finding::new(master, "drill", verdict, begun.elapsed()))
    }
}

fn skipped(why: &'static str) -> Finding {
    Finding::new("-", "drill", Verdict::Skipped(why), Duration::ZERO)
}

/// Whether a host says that it has the address: it moves as it likes.
fn holds<T: Transport>(host: &str, ways: &mut BTreeMap<String, T>) -> bool {
    let way = ways.get_mut(host);
    let said = way.and_then(|way| asked::told(way, Question::Address).ok());
    said.is_some_and(|said| status::holds(&said))
}

fn died<T: Transport + Send>(
    cluster: &Cluster,
    ways: &mut BTreeMap<String, T>,
    holder: &str,
    other: &str,
    unit: &str,
) -> Result<String, String> {
    let gone = || format!("{holder} does not answer");
    let mut held = ways.remove(holder).ok_or_else(gone)?;
    let servers = cluster.endpoint.urls();
    let watch = Question::Watch {
        servers: servers.clone(),
        milliseconds: LOOK,
    };
    let (watched, done) = thread::scope(|scope| {
        let done = scope.spawn(|| {
            thread::park_timeout(BEFORE);
            let kill = Order::Kill(unit.to_owned());
            asked::done(&mut held, kill).map_err(|error| error.to_string())
        });
        let gone = || format!("{other} does not answer");
        let watched = ways
            .get_mut(other)
            .ok_or_else(gone)
            .and_then(|way| asked::told(way, watch).map_err(|error| error.to_string()));
        let died = |_| Err("its thread died".to_owned());
        (watched, done.join().unwrap_or_else(died))
    });
    ways.insert(holder.to_owned(), held);
    done?;
    let watched: Vec<Watched> =
        serde_json::from_value(watched?).map_err(|error| error.to_string())?;
    judged(&servers, &watched)
}

/// Every address outlasts it.
fn judged(servers: &[String], watched: &[Watched]) -> Result<String, String> {
    let said = servers.iter().zip(watched).map(|(server, watched)| {
        let by = server.trim_start_matches("https://");
        let Watched {
            asked,
            answered,
            silent,
        } = watched;
        format!("{by}: {answered} of {asked} answers, {silent} ms at most without one")
    });
    let said = said.collect::<Vec<_>>().join("; ");
    let good = |one: &Watched| one.answered > 0 && one.silent <= SILENT;
    match watched.len() == servers.len() && watched.iter().all(good) {
        true => Ok(said),
        false => Err(said),
    }
}

#[cfg(test)]
mod tests {
    use std::path::{Path, PathBuf};
    use std::sync::{Arc, Mutex};

    use serde_json::json;

    use super::*;
    use crate::agent::Answer;
    use crate::apply::TransportError;

    /// Masters among whom an address moves when what serves it dies.
    #[derive(Default)]
    struct World {
        holder: String,
        /// Who keeps the lock of m3, if somebody does.
        at_work: Option<&'static str>,
        /// The longest silence that is seen, ms.
        silent: u64,
        locked: Vec<String>,
        killed: Vec<String>,
    }

    struct Fake(String, Arc<Mutex<World>>);

    impl Transport for Fake {
        fn bring(&mut self, file: &Path) -> Result<PathBuf, TransportError> {
            Ok(file.to_owned())
        }

        #[expect(clippy::wildcard_enum_match_arm, reason = "no other order is given")]
        fn ask(&mut self, order: Order) -> Result<Answer, TransportError> {
            let mut world = self.1.lock().unwrap();
            let host = self.0.clone();
            Ok(match order {
                Order::Lock(_) if world.at_work.is_some() && host == "m3" => {
                    Answer::Held(world.at_work.unwrap_or_default().to_owned())
                }
                Order::Lock(_) => {
                    world.locked.push(host);
                    Answer::Done
                }
                Order::Ask(Question::Address) => {
                    let holding = world.holder == host;
                    let router = json!({"name": "api", "holding": holding});
                    Answer::Told(json!({"routers": [router]}))
                }
                Order::Ask(Question::Watch { .. }) => {
                    let silent = world.silent;
                    let one = json!({"asked": 9, "answered": 9, "silent": silent});
                    Answer::Told(json!([one]))
                }
                Order::Kill(unit) => {
                    world.killed.push(format!("{host} {unit}"));
                    world.holder = "m2".to_owned();
                    Answer::Done
                }
                other => return Err(TransportError(format!("{other:?}"))),
            })
        }
    }

    /// What is found, and what became of the masters.
    fn drilled(hosts: &[&str], world: World, stop: bool) -> (Vec<Finding>, World) {
        let text = include_str!("../../tests/spec/whole.yaml");
        let cluster = crate::spec::parse("cluster.yaml", text).unwrap().cluster;
        let world = Arc::new(Mutex::new(world));
        let way = |name: &&str| {
            let fake = Fake((*name).to_owned(), Arc::clone(&world));
            ((*name).to_owned(), fake)
        };
        let mut ways: BTreeMap<_, _> = hosts.iter().map(way).collect();
        let stop = || stop;
        let drill = Drill {
            cluster: &cluster,
            who: "ada",
            stop: &stop,
        };
        let mut found = Vec::new();
        drill.run(&mut ways, &mut |one| found.push(one));
        let world = std::mem::take(&mut *world.lock().unwrap());
        (found, world)
    }

    const ALL: [&str; 4] = ["m1", "m2", "m3", "n1"];

    fn held_by(holder: &str) -> World {
        World {
            holder: holder.to_owned(),
            ..World::default()
        }
    }

    #[test]
    fn whoever_holds_the_address_by_then_loses_what_serves_it() {
        let (found, world) = drilled(&ALL, held_by("m1"), false);
        assert!(found.iter().all(|one| !one.is_bad()), "{found:?}");
        assert_eq!(
            world.killed,
            ["m1 kube-apiserver.service", "m2 api-lb.service"]
        );
        assert_eq!(world.locked, ["m1", "m2", "m3"]);
        let on: Vec<_> = found.iter().map(|one| one.host.as_str()).collect();
        assert_eq!(on, ["m1", "m2"]);
    }

    #[test]
    fn nothing_dies_where_somebody_is_at_work_or_nothing_would_be_seen() {
        let busy = World {
            at_work: Some("bob is at work here"),
            ..held_by("m1")
        };
        let skipped = |why| Verdict::Skipped(why);
        for (hosts, world, stop, wanted) in [
            (
                &ALL[..],
                busy,
                false,
                Verdict::Bad("bob is at work here".to_owned()),
            ),
            (
                &ALL[..],
                held_by("m1"),
                true,
                skipped("the operator has stopped it"),
            ),
            (
                &ALL[..],
                held_by("m9"),
                false,
                skipped("nobody of ours holds an address"),
            ),
            (
                &["m1", "n1"][..],
                held_by("m1"),
                false,
                skipped("no other control-plane host answers"),
            ),
        ] {
            let (found, world) = drilled(hosts, world, stop);
            let verdicts: Vec<_> = found.into_iter().map(|one| one.verdict).collect();
            assert_eq!(verdicts, [wanted]);
            assert_eq!(world.killed, [""; 0]);
        }
    }

    /// An address that was lost is not shaken again.
    #[test]
    fn what_was_bad_ends_it() {
        let slow = World {
            silent: SILENT + 1,
            ..held_by("m1")
        };
        let (found, world) = drilled(&ALL, slow, false);
        assert!(found.len() == 1 && found[0].is_bad(), "{found:?}");
        assert_eq!(world.killed, ["m1 kube-apiserver.service"]);
    }

    #[test]
    fn an_address_that_is_silent_for_long_is_bad() {
        let watched = |answered, silent| Watched {
            asked: 50,
            answered,
            silent,
        };
        let servers = ["[2001:db8::9]:6443", "192.0.2.9:6443"];
        let servers = servers.map(|at| format!("https://{at}"));
        let (good, slow) = (watched(49, SILENT), watched(49, SILENT + 1));
        for (seen, wanted) in [
            (vec![good, good], true),
            (vec![good, slow], false),
            (vec![slow, good], false),
            (vec![good, watched(0, 0)], false),
            (vec![good], false),
        ] {
            let said = judged(&servers, &seen);
            assert_eq!(said.is_ok(), wanted, "{said:?}");
        }
        let said = judged(&servers[1..], &[good]).unwrap();
        let wanted = "192.0.2.9:6443: 49 of 50 answers, 3000 ms at most without one";
        assert_eq!(said, wanted);
    }
}
