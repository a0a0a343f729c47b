//! Turns as tables.

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

/// Where etcd lies down none of its members comes up alone; all else waits for it.
#[test]
fn members_of_an_etcd_that_lies_down_begin_together() {
    use Part::{Brings, Follows, Interrupts, Raises};
    use Says::Begin;
    let mut all = turns([Raises, Raises, Interrupts]);
    assert_eq!(says(&all), [Begin, Begin, wait("m1")]);
    assert!(all.raises("m2") && !all.raises("m3"));
    all.ended("m1", End::Well);
    assert_eq!(says(&all)[2], wait("m2"));
    let mut broken = all.clone();
    all.ended("m2", End::Well);
    assert_eq!(says(&all)[2], Begin);
    broken.ended("m2", End::Failed);
    assert_eq!(says(&broken)[2], not_begun("m2"));
    // Others wait for one that begins with them, also where nothing is interrupted.
    let mut alone = turns([Raises, Brings, Follows]);
    assert_eq!(says(&alone), [Begin, Begin, wait("m1")]);
    assert!(alone.count_on("m1"));
    alone.ended("m1", End::Well);
    alone.ended("m2", End::Well);
    assert_eq!(says(&alone)[2], Begin);
    // One that fails holds up none of those that it needs itself.
    let mut failed = turns([Raises; 3]);
    failed.ended("m1", End::Failed);
    assert_eq!(says(&failed)[1..], [Begin, Begin]);
}

#[test]
fn who_raises_etcd_starts_its_member_anew() {
    let restart = |unit: &str| Step::Restart {
        unit: unit.to_owned(),
        stage: StageName(Stage::Store),
        because: Vec::new(),
    };
    for (unit, wanted) in [
        ("etcd.service", Part::Raises),
        ("kube-apiserver.service", Part::Interrupts),
    ] {
        let host = "m1".to_owned();
        let steps = vec![restart(unit)];
        let plan = Plan { host, steps };
        assert_eq!(Part::Interrupts.with_etcd_down(&plan), wanted, "{unit}");
    }
}

/// A kubelet is never newer than an API server.
#[test]
fn who_follows_begins_after_the_last_master() {
    use Part::{Follows, Interrupts, Renews};
    use Says::Begin;
    let parts = [("m1", Interrupts), ("n1", Follows), ("m2", Renews)];
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
    // Masters that are as they are to be hold nobody up, nor do those that keep their versions.
    let parts = [("m1", Interrupts), ("n1", Follows), ("m2", Interrupts)];
    for others in [&parts[1..2], &parts] {
        let others = others
            .iter()
            .map(|(host, part)| ((*host).to_owned(), *part));
        let mut turns = Turns::of(others);
        assert_eq!((turns.says("n1"), turns.follows("n1")), (Begin, false));
        turns.ended("m1", End::Failed);
        assert_eq!(turns.says("n1"), Begin);
    }
}

/// What is installed says what a host takes, and what of it is turned.
#[test]
fn a_part_is_what_programs_come_to_it() {
    use Part::{Follows, Interrupts, Renews};
    let text = include_str!("../../../tests/spec/whole.yaml");
    let cluster = crate::spec::parse("cluster.yaml", text).unwrap().cluster;
    let alone = |host: &&Host| host.roles.len() == 1 && host.is(Role::Node);
    let node = cluster.hosts.iter().find(alone).unwrap();
    let with = |roles: &[Role]| {
        let mut host = node.clone();
        host.roles.extend(roles);
        host
    };
    let member = with(&[Role::Etcd]);
    let master = with(&[Role::ControlPlane]);
    let etcd = |begins: fn(String, StageName) -> Step| {
        Some(begins("etcd.service".to_owned(), StageName(Stage::Store)))
    };
    let server = |begins: fn(String, StageName) -> Step| {
        Some(begins(
            "kube-apiserver.service".to_owned(),
            StageName(Stage::Api),
        ))
    };
    let (start, restart) = (
        |unit, stage| Step::Start { unit, stage },
        |unit, stage| Step::Restart {
            unit,
            stage,
            because: Vec::new(),
        },
    );
    for (host, program, before, also, wanted) in [
        (node, "kubelet", Some("1"), None, Follows),
        (node, "kube-proxy", Some("1"), None, Follows),
        // A new node, beside an upgrade.
        (node, "kubelet", None, None, Follows),
        (node, "containerd", Some("1"), None, Part::Apart),
        // What is no master may have a member of etcd.
        (&member, "kubelet", Some("1"), None, Follows),
        (&member, "kubelet", Some("1"), etcd(restart), Part::Trails),
        // The API servers that its kubelet asks wait for its member.
        (&member, "kubelet", Some("1"), etcd(start), Part::Brings),
        (&member, "etcd", Some("1"), etcd(restart), Interrupts),
        (&master, "kubelet", Some("1"), None, Part::Apart),
        (
            &master,
            "kube-apiserver",
            Some("1"),
            server(restart),
            Renews,
        ),
        (&master, "etcd", Some("1"), etcd(restart), Interrupts),
        (&master, "kube-apiserver", None, server(start), Part::Brings),
    ] {
        let step = Step::Install {
            program: program.to_owned(),
            path: format!("/usr/local/bin/{program}"),
            before: before.map(str::to_owned),
        };
        let plan = Plan {
            host: host.name.clone(),
            steps: [step].into_iter().chain(also).collect(),
        };
        assert_eq!(Part::of(host, &plan), wanted, "{program} {plan:?}");
    }
}

/// Also where nothing is interrupted: a kubelet goes over to what serves.
#[test]
fn who_goes_over_begins_after_all_masters() {
    use Part::{Apart, Brings, Goes, Interrupts};
    use Says::Begin;
    for part in [Brings, Interrupts] {
        let parts = [("m1", part), ("n1", Goes), ("n2", Apart)];
        let mut turns = Turns::of(parts.map(|(host, part)| (host.to_owned(), part)));
        assert_eq!(
            ["m1", "n1", "n2"].map(|host| turns.says(host)),
            [Begin, wait("m1"), Begin]
        );
        assert!(turns.count_on("m1") && turns.follows("n1"));
        let mut failed = turns.clone();
        turns.ended("m1", End::Well);
        assert_eq!(turns.says("n1"), Begin);
        failed.ended("m1", End::Failed);
        assert_eq!(failed.says("n1"), not_begun("m1"));
    }
}

/// One whose member is started anew as well waits for its turn, and goes nowhere beside a master
/// that was left as it is.
#[test]
fn who_leaves_goes_alone_and_beside_nobody_who_was_left() {
    use Part::{Interrupts, Leaves};
    let parts = [("e1", Leaves), ("m1", Interrupts)];
    let mut turns = Turns::of(parts.map(|(host, part)| (host.to_owned(), part)));
    assert_eq!(turns.says("e1"), wait("m1"));
    turns.ended("m1", End::Left);
    assert_eq!(turns.says("e1"), not_begun("m1"));
}

/// Members of etcd on nodes are started anew one by one, too, and after the masters.
#[test]
fn who_trails_goes_alone_and_last() {
    use Part::{Follows, Renews, Trails};
    use Says::Begin;
    let parts = [
        ("e1", Trails),
        ("m1", Renews),
        ("e2", Trails),
        ("n1", Follows),
    ];
    let of = || Turns::of(parts.map(|(host, part)| (host.to_owned(), part)));
    let mut turns = of();
    for (host, next) in [("m1", "e1"), ("e1", "e2"), ("e2", "n1")] {
        assert_eq!((turns.says(host), turns.says(next)), (Begin, wait(host)));
        assert!(turns.count_on(host));
        turns.ended(host, End::Well);
    }
    assert_eq!(turns.says("n1"), Begin);
    // A master that stays as it is has the older API server.
    for end in [End::Left, End::Failed] {
        let mut turns = of();
        turns.ended("m1", end);
        assert_eq!(turns.says("e1"), not_begun("m1"), "{end:?}");
    }
}

#[test]
fn a_part_is_what_the_steps_do_to_what_serves() {
    let text = include_str!("../../../tests/spec/whole.yaml");
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
            let counts = |part: Part| if serves && rests { part } else { Part::Apart };
            assert_eq!(part(&[&remove("vip-daemon.service")]), Part::Interrupts);
            assert_eq!(part(&[&remove("kubelet.service")]), Part::Apart);
            assert_eq!(part(&[&enable]), Part::Apart);
            assert_eq!(part(&[&enable, &start]), counts(Part::Brings));
            assert_eq!(part(&[&restart, &start]), counts(Part::Interrupts));
            assert_eq!(part(&[&start, &restart]), counts(Part::Interrupts));
        }
    }
}
