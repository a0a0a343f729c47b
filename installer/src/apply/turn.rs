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
    /// The same, for an API server of another version.
    Renews,
    /// It takes what must not be newer than any API server.
    Follows,
    /// It does both of the last two.
    Trails,
    /// Its kubelet goes over to where the API is found from then on.
    Goes,
    /// That, and it takes something off for a moment.
    Leaves,
    /// It starts a member of etcd anew, which lies down and comes up with others.
    Raises,
}

/// What others ask, and what asks it, which it is to be as new as at least.
const SERVER: &str = "kube-apiserver";
const FOLLOWERS: [&str; 2] = ["kubelet", "kube-proxy"];

/// Whether a step brings an API server in the place of another one.
fn renews(step: &Step) -> bool {
    matches!(step, Step::Install { program, before: Some(_), .. } if program == SERVER)
}

/// What members of etcd run as.
const ETCD: &str = "etcd.service";

/// Whether a step brings such a program, in the place of another version's or to a new node.
fn follows(step: &Step) -> bool {
    matches!(step, Step::Install { program, .. } if FOLLOWERS.contains(&program.as_str()))
}

impl Part {
    /// That of a host with this plan.
    #[must_use]
    pub fn of(host: &Host, plan: &Plan) -> Self {
        // The kubelet of a master asks the API server beside it.
        let follows = !host.is(Role::ControlPlane) && plan.steps.iter().any(follows);
        match (Self::of_services(host, plan), follows) {
            (Self::Interrupts, false) if plan.steps.iter().any(renews) => Self::Renews,
            (Self::Interrupts | Self::Renews, true) => Self::Trails,
            // API servers wait for what it brings: its kubelet must not wait for them.
            (Self::Brings, true) => Self::Brings,
            (Self::Raises, true) => Self::Raises,
            (Self::Apart | Self::Follows | Self::Trails, true) => Self::Follows,
            (part @ (Self::Goes | Self::Leaves), true) => part,
            (part, false) => part,
        }
    }

    /// That where etcd lies down: a member that is started anew takes nothing from anybody.
    #[must_use]
    pub fn with_etcd_down(self, plan: &Plan) -> Self {
        let anew =
            |step: &Step| matches!(step, Step::Restart { unit, .. } if unit == ETCD);
        match plan.steps.iter().any(anew) {
            true => Self::Raises,
            false => self,
        }
    }

    /// That of what it has of those that the cluster rests on.
    fn of_services(host: &Host, plan: &Plan) -> Self {
        let stopped = plan.steps.iter().filter_map(Step::stops);
        if stopped.into_iter().any(|unit| serves(host, unit)) {
            return Self::Interrupts;
        }
        if !host.is(Role::Etcd) && !host.is(Role::ControlPlane) {
            return Self::Apart;
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
        ETCD
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

/// The turns of a run. Where no host interrupts anything, as in the first, or goes over, all begin
/// at once; where no API server becomes another, nobody follows.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Turns {
    brings: BTreeSet<String>,
    raises: BTreeSet<String>,
    interrupts: VecDeque<String>,
    follows: BTreeSet<String>,
    failed: Option<String>,
    left: Option<String>,
}

impl Turns {
    /// Those of these hosts, in the order in which they are given.
    #[must_use]
    pub fn of(parts: impl IntoIterator<Item = (String, Part)>) -> Self {
        let (mut turns, mut last) = (Self::default(), VecDeque::new());
        let (mut renewed, mut going) = (false, BTreeSet::new());
        for (host, part) in parts {
            renewed |= matches!(part, Part::Renews | Part::Raises);
            match part {
                Part::Apart => {}
                Part::Brings => drop(turns.brings.insert(host)),
                Part::Raises => {
                    turns.raises.insert(host.clone());
                    turns.brings.insert(host);
                }
                Part::Interrupts | Part::Renews => turns.interrupts.push_back(host),
                Part::Follows => drop(turns.follows.insert(host)),
                Part::Goes => drop(going.insert(host)),
                Part::Leaves => {
                    going.insert(host.clone());
                    last.push_back(host);
                }
                Part::Trails => {
                    turns.follows.insert(host.clone());
                    last.push_back(host);
                }
            }
        }
        turns.interrupts.append(&mut last);
        let nobody_waits = going.is_empty() && turns.raises.is_empty();
        if nobody_waits && turns.interrupts.is_empty() {
            turns.brings.clear();
        }
        if !renewed {
            turns.follows.clear();
        }
        turns.follows.append(&mut going);
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
            return self.says_to_who_follows(host);
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
    fn says_to_who_follows(&self, host: &str) -> Says {
        if let Some(failed) = self.failed.clone().or_else(|| self.left.clone()) {
            return Says::NotBegun { failed };
        }
        match self.brings.first().or_else(|| self.interrupts.front()) {
            Some(before) if before != host => Says::Wait {
                for_whom: before.clone(),
            },
            Some(_) | None => Says::Begin,
        }
    }

    /// Whether a host waits for all masters.
    #[must_use]
    pub fn follows(&self, host: &str) -> bool {
        self.follows.contains(host)
    }

    /// Whether a host starts a member of etcd anew beside the others that do.
    #[must_use]
    pub fn raises(&self, host: &str) -> bool {
        self.raises.contains(host)
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
mod tests;
