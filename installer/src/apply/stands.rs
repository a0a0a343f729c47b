//! Whether a cluster goes on serving while a host takes its part of it away for a moment: a
//! function of what the parts say of themselves. They are asked in `cli/apply/stands.rs`.

use std::collections::BTreeSet;

use crate::plan::{Plan, Step};
use crate::spec::{Host, Role};

/// What the masters of a cluster are together, so that one of them may go.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Pillar {
    /// The members of etcd.
    Store,
    /// The API servers.
    Api,
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
