//! Whose turn it is. What a cluster that serves rests on is started anew on one host after the
//! other, so that the others serve meanwhile; a function of values. Who waits is told by
//! `cli/apply/turns.rs`.

use std::collections::{BTreeSet, VecDeque};

use crate::plan::{Plan, Step};
use crate::resource::Stage;
use crate::spec::{Host, Role};

/// What the steps of a host do to a cluster that serves.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Part {
    /// It takes nothing away, and brings nothing that the others wait for.
    Apart,
    /// It brings something that the cluster rests on.
    Brings,
    /// It takes that away for a moment.
    Interrupts,
    /// It takes what must not be newer than any API server.
    Follows,
}

/// What asks API servers that are to be as new at least.
const FOLLOWERS: [&str; 2] = ["kubelet", "kube-proxy"];

/// Whether a step brings another version of such a program.
fn follows(step: &Step) -> bool {
    matches!(step, Step::Install { program, before: Some(_), .. }
        if FOLLOWERS.contains(&program.as_str()))
}

impl Part {
    /// That of a host with this plan.
    #[must_use]
    pub fn of(host: &Host, plan: &Plan) -> Self {
        let stopped = plan.steps.iter().filter_map(Step::stops);
        if stopped.into_iter().any(|unit| serves(host, unit)) {
            return Self::Interrupts;
        }
        if !host.is(Role::Etcd) && !host.is(Role::ControlPlane) {
            return match plan.steps.iter().any(follows) {
                true => Self::Follows,
                false => Self::Apart,
            };
        }
        let mut part = Self::Apart;
        for step in &plan.steps {
            match step {
                Step::Restart { stage, .. } if rests_on(stage.0) => {
                    return Self::Interrupts;
                }
                Step::Start { stage, .. } if rests_on(stage.0) => part = Self::Brings,
                Step::Restart { .. }
                | Step::Start { .. }
                | Step::Folder { .. }
                | Step::Keep { .. }
                | Step::Write { .. }
                | Step::Issue { .. }
                | Step::Share { .. }
                | Step::Install { .. }
                | Step::Enable { .. }
                | Step::Reload { .. }
                | Step::Remove { .. } => {}
            }
        }
        part
    }
}

/// Whether a cluster serves by a unit that is taken off a host for good. The host may be none of
/// the masters any more; of the api-lb of a node only that node has something.
fn serves(host: &Host, unit: &str) -> bool {
    match unit {
        "api-lb.service" => host.is(Role::ControlPlane),
        "etcd.service"
        | "vip-daemon.service"
        | "kube-apiserver.service"
        | "kube-controller-manager.service"
        | "kube-scheduler.service" => true,
        _ => false,
    }
}

/// Whether a cluster serves by the units of a stage.
fn rests_on(stage: Stage) -> bool {
    match stage {
        Stage::Store | Stage::Address | Stage::Api | Stage::Control => true,
        Stage::Machine | Stage::Nodes => false,
    }
}

/// What a host is told.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Says {
    /// It may be worked on.
    Begin,
    /// Another is worked on.
    Wait {
        /// Which.
        for_whom: String,
    },
    /// It is left as it is, and serves on.
    NotBegun {
        /// Which host failed.
        failed: String,
    },
}

/// How the work on a host has ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum End {
    /// What it is to run is well.
    Well,
    /// It was not begun, and is as it was: others may go on.
    Left,
    /// It is not.
    Failed,
}

/// The turns of a run. Where no host interrupts anything, as in the first, all begin at once.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Turns {
    brings: BTreeSet<String>,
    interrupts: VecDeque<String>,
    follows: BTreeSet<String>,
    failed: Option<String>,
    left: Option<String>,
}

impl Turns {
    /// Those of these hosts, in the order in which they are given.
    #[must_use]
    pub fn of(parts: impl IntoIterator<Item = (String, Part)>) -> Self {
        let mut turns = Self::default();
        for (host, part) in parts {
            match part {
                Part::Apart => {}
                Part::Brings => drop(turns.brings.insert(host)),
                Part::Interrupts => turns.interrupts.push_back(host),
                Part::Follows => drop(turns.follows.insert(host)),
            }
        }
        if turns.interrupts.is_empty() {
            turns.brings.clear();
            turns.follows.clear();
        }
        turns
    }

    /// Whether the others wait for a host to be well.
    #[must_use]
    pub fn count_on(&self, host: &str) -> bool {
        self.brings.contains(host) || self.interrupts.iter().any(|one| one == host)
    }

    /// What a host is told now. Those that bring something go first, all at once: a member of
    /// etcd that was started anew may need them for its majority.
    #[must_use]
    pub fn says(&self, host: &str) -> Says {
        if self.follows.contains(host) {
            return self.says_to_who_follows();
        }
        if !self.interrupts.iter().any(|one| one == host) {
            return Says::Begin;
        }
        if let Some(failed) = self.failed.clone() {
            return Says::NotBegun { failed };
        }
        let before = self.brings.first().or_else(|| self.interrupts.front());
        match before {
            Some(before) if before != host => Says::Wait {
                for_whom: before.clone(),
            },
            Some(_) | None => Says::Begin,
        }
    }

    /// Who follows begins when all masters have what they are to have.
    fn says_to_who_follows(&self) -> Says {
        if let Some(failed) = self.failed.clone().or_else(|| self.left.clone()) {
            return Says::NotBegun { failed };
        }
        match self.brings.first().or_else(|| self.interrupts.front()) {
            Some(before) => Says::Wait {
                for_whom: before.clone(),
            },
            None => Says::Begin,
        }
    }

    /// Whether a host waits for all masters.
    #[must_use]
    pub fn follows(&self, host: &str) -> bool {
        self.follows.contains(host)
    }

    /// The work on a host has ended. What has not begun by the first failure does not begin.
    pub fn ended(&mut self, host: &str, end: End) {
        if !self.count_on(host) {
            return;
        }
        self.brings.remove(host);
        self.interrupts.retain(|one| one != host);
        match end {
            End::Well => {}
            End::Left => drop(self.left.get_or_insert_with(|| host.to_owned())),
            End::Failed => drop(self.failed.get_or_insert_with(|| host.to_owned())),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::plan::StageName;

    const MASTERS: [&str; 3] = ["m1", "m2", "m3"];

    fn turns(parts: [Part; 3]) -> Turns {
        Turns::of(MASTERS.map(str::to_owned).into_iter().zip(parts))
    }

    fn says(turns: &Turns) -> [Says; 3] {
        MASTERS.map(|host| turns.says(host))
    }

    fn wait(for_whom: &str) -> Says {
        let for_whom = for_whom.to_owned();
        Says::Wait { for_whom }
    }

    fn not_begun(failed: &str) -> Says {
        let failed = failed.to_owned();
        Says::NotBegun { failed }
    }

    #[test]
    fn who_interrupts_goes_alone_and_the_first_failure_ends_it() {
        use Part::Interrupts;
        use Says::Begin;
        let mut turns = turns([Interrupts; 3]);
        assert_eq!(says(&turns), [Begin, wait("m1"), wait("m1")]);
        turns.ended("m1", End::Well);
        assert_eq!(says(&turns)[1..], [Begin, wait("m2")]);
        // One that is left as it is takes nothing away.
        let mut left = turns.clone();
        left.ended("m2", End::Left);
        assert_eq!(left.says("m3"), Begin);
        // A node that fails is nobody's reason to wait.
        turns.ended("n1", End::Failed);
        assert_eq!(says(&turns)[1..], [Begin, wait("m2")]);
        turns.ended("m2", End::Failed);
        assert_eq!(says(&turns)[2], not_begun("m2"));
        assert_eq!(turns.says("n1"), Begin);
    }

    #[test]
    fn a_first_run_is_at_once_and_what_is_brought_comes_before_what_is_interrupted() {
        use Part::{Apart, Brings, Interrupts};
        use Says::Begin;
        let first = turns([Brings, Brings, Apart]);
        assert_eq!(says(&first), [Begin, Begin, Begin]);
        assert!(!first.count_on("m1"));
        let mut mixed = turns([Interrupts, Brings, Brings]);
        assert_eq!(says(&mixed), [wait("m2"), Begin, Begin]);
        assert!(mixed.count_on("m1") && mixed.count_on("m2"));
        mixed.ended("m2", End::Well);
        assert_eq!(says(&mixed)[0], wait("m3"));
        let mut broken = mixed.clone();
        mixed.ended("m3", End::Well);
        assert_eq!(says(&mixed)[0], Begin);
        // What does not come up there would not come up here either.
        broken.ended("m3", End::Failed);
        assert_eq!(says(&broken)[0], not_begun("m3"));
    }

    /// A kubelet is never newer than an API server.
    #[test]
    fn who_follows_begins_after_the_last_master() {
        use Part::{Follows, Interrupts};
        use Says::Begin;
        let parts = [("m1", Interrupts), ("n1", Follows), ("m2", Interrupts)];
        let mut turns = Turns::of(parts.map(|(host, part)| (host.to_owned(), part)));
        assert!(turns.follows("n1") && !turns.count_on("n1"));
        assert_eq!(turns.says("n1"), wait("m1"));
        turns.ended("m1", End::Well);
        assert_eq!(turns.says("n1"), wait("m2"));
        for (end, wanted) in [
            (End::Well, Begin),
            (End::Failed, not_begun("m2")),
            // It has what it had.
            (End::Left, not_begun("m2")),
        ] {
            let mut turns = turns.clone();
            turns.ended("m2", end);
            assert_eq!(turns.says("n1"), wanted, "{end:?}");
        }
        // Masters that are as they are to be hold nobody up.
        let alone = Turns::of([("n1".to_owned(), Follows)]);
        assert_eq!(alone.says("n1"), Begin);
        let text = include_str!("../../tests/spec/whole.yaml");
        let cluster = crate::spec::parse("cluster.yaml", text).unwrap().cluster;
        let alone = |host: &&Host| host.roles.len() == 1 && host.is(Role::Node);
        let node = cluster.hosts.iter().find(alone).unwrap();
        for (program, before, wanted) in [
            ("kubelet", Some("1"), Follows),
            ("kube-proxy", Some("1"), Follows),
            ("kubelet", None, Part::Apart),
            ("containerd", Some("1"), Part::Apart),
        ] {
            let step = Step::Install {
                program: program.to_owned(),
                path: format!("/usr/local/bin/{program}"),
                before: before.map(str::to_owned),
            };
            let plan = Plan {
                host: node.name.clone(),
                steps: vec![step],
            };
            assert_eq!(Part::of(node, &plan), wanted, "{program}");
        }
    }

    #[test]
    fn a_part_is_what_the_steps_do_to_what_serves() {
        let text = include_str!("../../tests/spec/whole.yaml");
        let cluster = crate::spec::parse("cluster.yaml", text).unwrap().cluster;
        let stages = [
            (Stage::Machine, false),
            (Stage::Store, true),
            (Stage::Address, true),
            (Stage::Api, true),
            (Stage::Control, true),
            (Stage::Nodes, false),
        ];
        for host in &cluster.hosts {
            let serves = host.is(Role::Etcd) || host.is(Role::ControlPlane);
            for (stage, rests) in stages {
                let (unit, stage) = ("x.service".to_owned(), StageName(stage));
                let start = Step::Start {
                    unit: unit.clone(),
                    stage,
                };
                let because = Vec::new();
                let restart = Step::Restart {
                    unit: unit.clone(),
                    stage,
                    because,
                };
                let enable = Step::Enable { unit };
                let remove = |unit: &str| Step::Remove {
                    what: crate::reset::Step::Stop {
                        unit: unit.to_owned(),
                    },
                };
                let part = |steps: &[&Step]| {
                    let steps = steps.iter().map(|step| (*step).clone()).collect();
                    let host_name = host.name.clone();
                    let plan = Plan {
                        host: host_name,
                        steps,
                    };
                    Part::of(host, &plan)
                };
                let counts =
                    |part: Part| if serves && rests { part } else { Part::Apart };
                assert_eq!(part(&[&remove("vip-daemon.service")]), Part::Interrupts);
                assert_eq!(part(&[&remove("kubelet.service")]), Part::Apart);
                assert_eq!(part(&[&enable]), Part::Apart);
                assert_eq!(part(&[&enable, &start]), counts(Part::Brings));
                assert_eq!(part(&[&restart, &start]), counts(Part::Interrupts));
                assert_eq!(part(&[&start, &restart]), counts(Part::Interrupts));
            }
        }
    }
}
