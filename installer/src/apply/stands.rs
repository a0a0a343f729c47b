//! Whether a cluster goes on serving while a host takes its part of it away for a moment: a
//! function of what the parts say of themselves. They are asked in `cli/apply/stands.rs`.

use std::collections::BTreeSet;

use crate::judge::Why;
use crate::plan::{Plan, Step};
use crate::spec::{Host, Role};

/// By what members of etcd know each other, what they show to whoever asks them, and what we show
/// when we ask.
const PEER: &str = "etcd/peer";
const SERVER: &str = "etcd/server";
const ASKER: &str = "etcd/healthcheck-client";

/// What the masters of a cluster are together, so that one of them may go.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Pillar {
    /// The members of etcd.
    Store,
    /// The API servers.
    Api,
}

/// What a member of etcd is to another that is started anew.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Member {
    /// It takes a write.
    Well,
    /// It takes none.
    Ill,
    /// Nobody can ask it: what it would show, or what it would be shown, has ended.
    Unseen,
    /// By its certificate, which has ended, none lets it in, and it lets in none.
    Ended,
}

impl Member {
    /// That of a host, by its plan where there is one, and by whether it takes a write to whoever
    /// [`can_ask`].
    #[must_use]
    pub fn of(plan: Option<&Plan>, takes: Option<bool>) -> Self {
        let ended = |name| plan.is_some_and(|plan| has_ended(plan, name));
        match takes {
            Some(_) | None if ended(PEER) => Self::Ended,
            Some(true) => Self::Well,
            Some(false) if ended(SERVER) => Self::Unseen,
            Some(false) => Self::Ill,
            None => Self::Unseen,
        }
    }

    /// Whether one that is started anew finds it.
    fn is_found(self) -> bool {
        match self {
            // Who does not see serves perhaps: nothing is taken from it.
            Self::Well | Self::Unseen => true,
            Self::Ill | Self::Ended => false,
        }
    }
}

/// Whether a host's word about members counts: one that shows what has ended gets no answer.
#[must_use]
pub fn can_ask(plan: &Plan) -> bool {
    !has_ended(plan, ASKER)
}

/// Whether a step issues anew, since it has ended, what a member of etcd shows or is shown.
#[must_use]
pub fn renews_member(step: &Step) -> bool {
    [PEER, SERVER, ASKER].iter().any(|name| renews(step, name))
}

fn has_ended(plan: &Plan, certificate: &str) -> bool {
    plan.steps.iter().any(|step| renews(step, certificate))
}

fn renews(step: &Step, certificate: &str) -> bool {
    matches!(step, Step::Issue { name, why: Why::Ended, .. } if name == certificate)
}

/// Whether etcd lies down, so that no member comes up alone: they are started anew together, and
/// nothing that serves is lost by that.
#[must_use]
pub fn lies_down(members: &[Member]) -> bool {
    let found = members.iter().filter(|one| one.is_found()).count();
    found < Pillar::Store.needs(members.len())
}

/// Whether members that are started anew find too few: so many of those that are left as they are
/// have certificates that have ended.
#[must_use]
pub fn too_few(anew: usize, left: &[Member]) -> bool {
    let ended = |one: &&Member| **one == Member::Ended;
    let ended = left.iter().filter(ended).count();
    let all = anew + left.len();
    ended > 0 && all - ended < Pillar::Store.needs(all)
}

impl Pillar {
    /// Those that the steps of a host start anew, or end.
    #[must_use]
    pub fn shaken(host: &Host, plan: &Plan) -> BTreeSet<Self> {
        let mut all = BTreeSet::new();
        for step in &plan.steps {
            let unit = match step {
                Step::Restart { unit, .. } => Some(unit.as_str()),
                Step::Remove { .. }
                | Step::Folder { .. }
                | Step::Keep { .. }
                | Step::Write { .. }
                | Step::Issue { .. }
                | Step::Share { .. }
                | Step::Install { .. }
                | Step::Enable { .. }
                | Step::Start { .. }
                | Step::Reload { .. } => step.stops(),
            };
            match unit.unwrap_or_default() {
                "etcd.service" => {
                    all.insert(Self::Store);
                    // The API server beside it goes with it.
                    if host.is(Role::ControlPlane) {
                        all.insert(Self::Api);
                    }
                }
                "kube-apiserver.service" => drop(all.insert(Self::Api)),
                _ => {}
            }
        }
        all
    }

    /// So many of all parts it needs.
    fn needs(self, all: usize) -> usize {
        match self {
            Self::Store => all / 2 + 1,
            Self::Api => 1,
        }
    }

    /// Whether it stands when parts go for good, by how well they and those that stay are. It need
    /// not where all go, which is meant, or where it lies down already.
    #[must_use]
    pub fn outlives(self, going: &[bool], staying: &[bool]) -> bool {
        let well = |parts: &[bool]| parts.iter().filter(|well| **well).count();
        let needed = self.needs(going.len() + staying.len());
        let stays = well(staying);
        staying.is_empty() || stays >= needed || stays + well(going) < needed
    }

    /// Whether it stands without one part that is well, or not, beside others. It need not where
    /// it lies down already, or where there are too few parts for one to go: nothing would ever
    /// be started anew there.
    #[must_use]
    pub fn stands(self, own: bool, others: &[bool]) -> bool {
        let needed = self.needs(others.len() + 1);
        let well = others.iter().filter(|well| **well).count();
        let falls = own && well < needed && needed <= well + 1;
        !falls || others.len() < needed
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::plan::StageName;
    use crate::resource::Stage;

    #[test]
    fn a_majority_is_kept_where_there_is_one_to_keep() {
        let rows: [(bool, &[bool], bool, bool); 10] = [
            // Its own, the others; etcd, the API.
            (true, &[true, true], true, true),
            (true, &[true, false], false, true),
            // It lies down already: what is to be done may be what mends it.
            (true, &[false, false], true, false),
            (false, &[true, false], true, true),
            (false, &[true, true], true, true),
            // One or two members are a majority only all together.
            (true, &[], true, true),
            (true, &[true], true, true),
            (true, &[false], true, false),
            (true, &[true, true, false, false], false, true),
            (true, &[true, true, true, false], true, true),
        ];
        for (own, others, store, api) in rows {
            assert_eq!(Pillar::Store.stands(own, others), store, "{own} {others:?}");
            assert_eq!(Pillar::Api.stands(own, others), api, "{own} {others:?}");
        }
    }

    #[test]
    fn what_goes_for_good_leaves_enough_or_goes_as_a_whole() {
        let rows: [(&[bool], &[bool], bool, bool); 8] = [
            // Those that go, those that stay; etcd, the API.
            (&[true], &[true, true], true, true),
            (&[true, true], &[true], false, true),
            (&[true], &[true, false], false, true),
            // One that is down takes nothing with it.
            (&[false], &[true, true], true, true),
            (&[false, false], &[true], true, true),
            (&[true], &[false], true, false),
            (&[true], &[true], false, true),
            (&[true, true, true], &[], true, true),
        ];
        for (going, staying, store, api) in rows {
            let said =
                [Pillar::Store, Pillar::Api].map(|one| one.outlives(going, staying));
            assert_eq!(said, [store, api], "{going:?} {staying:?}");
        }
    }

    #[test]
    fn etcd_lies_down_where_no_member_comes_up_alone() {
        use Member::{Ended, Ill, Unseen, Well};
        let rows: [(&[Member], bool); 11] = [
            (&[Well, Well, Well], false),
            (&[Well, Well, Ill], false),
            (&[Well, Well, Ended], false),
            (&[Well, Ill, Ill], true),
            (&[Well, Ill, Ended], true),
            // They serve by what was let in before, and let in nobody more.
            (&[Ended, Ended, Ended], true),
            (&[Well, Ended, Ended], true),
            // What is not seen may serve.
            (&[Unseen, Unseen, Unseen], false),
            (&[Unseen, Unseen, Ended], false),
            (&[Well, Ill], true),
            (&[Ill], true),
        ];
        for (members, wanted) in rows {
            assert_eq!(lies_down(members), wanted, "{members:?}");
        }
    }

    #[test]
    fn who_is_left_out_with_what_has_ended_is_found_by_nobody() {
        use Member::{Ended, Ill, Unseen};
        let rows: [(usize, &[Member], bool); 6] = [
            (1, &[Ended, Ended], true),
            (2, &[Ended], false),
            // It may come up with the other.
            (1, &[Ill, Ended], false),
            (1, &[Ill, Ill], false),
            (1, &[Unseen, Unseen], false),
            (1, &[Ended], true),
        ];
        for (anew, left, wanted) in rows {
            assert_eq!(too_few(anew, left), wanted, "{anew} {left:?}");
        }
    }

    #[test]
    fn a_member_is_what_its_host_shows_and_what_is_seen_of_it() {
        use Member::{Ended, Ill, Unseen, Well};
        let plan = |names: &[&str], why: &Why| {
            let issue = |name: &&str| Step::Issue {
                name: (*name).to_owned(),
                authority: "etcd-ca",
                why: why.clone(),
            };
            let steps = names.iter().map(issue).collect();
            let host = "m1".to_owned();
            Plan { host, steps }
        };
        let rows: [(&[&str], _, _, _); 8] = [
            // What is issued anew since it has ended; whether it takes a write.
            (&[], Some(true), Well, true),
            (&[], Some(false), Ill, true),
            (&[], None, Unseen, true),
            (&[PEER], Some(true), Ended, true),
            (&[PEER, SERVER, ASKER], None, Ended, false),
            (&[SERVER], Some(false), Unseen, true),
            (&[SERVER, ASKER], Some(true), Well, false),
            (&["apiserver"], Some(false), Ill, true),
        ];
        for (names, takes, wanted, asks) in rows {
            let ended = plan(names, &Why::Ended);
            assert_eq!(Member::of(Some(&ended), takes), wanted, "{names:?}");
            assert_eq!(can_ask(&ended), asks, "{names:?}");
            let members = names.iter().all(|name| name.starts_with("etcd/"));
            assert_eq!(ended.steps.iter().all(renews_member), members);
            // What only is to end soon holds.
            let soon = plan(names, &Why::Ends(9));
            let held = Member::of(Some(&soon), takes);
            assert_eq!(held, Member::of(None, takes), "{names:?}");
            assert!(can_ask(&soon) && !soon.steps.iter().any(renews_member));
        }
    }

    #[test]
    fn what_is_shaken_is_what_begins_anew() {
        let text = include_str!("../../tests/spec/whole.yaml");
        let cluster = crate::spec::parse("cluster.yaml", text).unwrap().cluster;
        let master = &cluster.hosts[0];
        let shaken = |units: &[&str]| {
            let restart = |unit: &&str| Step::Restart {
                unit: format!("{unit}.service"),
                stage: StageName(Stage::Api),
                because: Vec::new(),
            };
            let plan = Plan {
                host: master.name.clone(),
                steps: units.iter().map(restart).collect(),
            };
            Pillar::shaken(master, &plan)
                .into_iter()
                .collect::<Vec<_>>()
        };
        assert_eq!(shaken(&["kube-scheduler", "api-lb"]), []);
        assert_eq!(shaken(&["kube-apiserver"]), [Pillar::Api]);
        assert_eq!(shaken(&["etcd"]), [Pillar::Store, Pillar::Api]);
    }
}
