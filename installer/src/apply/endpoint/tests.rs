//! What moves where clients find the API, as tables.

use super::*;
use crate::plan::StageName;
use crate::resource::Stage;

const STAGE: StageName = StageName(Stage::Address);

fn start(unit: &str) -> Step {
    Step::Start {
        unit: unit.to_owned(),
        stage: STAGE,
    }
}

fn enable(unit: &str) -> Step {
    Step::Enable {
        unit: unit.to_owned(),
    }
}

fn reload(unit: &str, because: &str) -> Step {
    Step::Reload {
        unit: unit.to_owned(),
        stage: STAGE,
        because: vec![because.to_owned()],
    }
}

fn restart(unit: &str, because: &str) -> Step {
    Step::Restart {
        unit: unit.to_owned(),
        stage: STAGE,
        because: vec![because.to_owned()],
    }
}

fn issue(name: &str) -> Step {
    Step::Issue {
        name: name.to_owned(),
        authority: "kubernetes-ca",
        why: crate::judge::Why::Missing,
    }
}

fn stop(unit: &str) -> Step {
    Step::Remove {
        what: crate::reset::Step::Stop {
            unit: unit.to_owned(),
        },
    }
}

fn reread() -> Step {
    Step::Remove {
        what: crate::reset::Step::Reread,
    }
}

fn plan(steps: &[Step]) -> Plan {
    Plan {
        host: "m1".to_owned(),
        steps: steps.to_vec(),
    }
}

#[test]
fn what_moves_the_api_is_known_by_its_files_and_units() {
    let (list, program) = (list(), layout::program("vip-daemon"));
    let share = |path: &str| Step::Share {
        paths: vec![path.to_owned()],
    };
    let servers = format!("{}/api-lb.yaml", layout::STERNPOST);
    for (step, has, goes, unheard) in [
        // Its step; whether it serves as it is, lets go, and is not heard by all.
        (start(ADDRESS), false, false, false),
        (start("etcd.service"), true, false, false),
        (share(&list), false, false, false),
        (share(&servers), false, false, false),
        (share("/etc/hosts"), true, false, false),
        (issue("apiserver"), false, true, false),
        (issue("admin"), true, false, false),
        (reload(BALANCER, &servers), false, true, false),
        (reload(ADDRESS, &list), false, true, true),
        (restart(ADDRESS, &list), false, true, true),
        // It tells whom it has told before.
        (restart(ADDRESS, &program), false, true, false),
        (
            reload("bootstrap-signer.service", &list),
            true,
            false,
            false,
        ),
        (stop(ADDRESS), true, true, false),
        (stop(BALANCER), true, true, false),
        (stop("kubelet.service"), true, false, false),
        (enable(ADDRESS), true, false, false),
    ] {
        let plan = plan(std::slice::from_ref(&step));
        let found = (serves(&plan), lets_go(&plan), is_unheard(&plan));
        assert_eq!(found, (has, goes, unheard), "{step:?}");
        assert_eq!(takes_address(&plan), step == start(ADDRESS));
    }
}

#[test]
fn what_is_put_off_is_taken_out_of_a_plan_whole() {
    let first = [start("etcd.service"), enable(ADDRESS), start(ADDRESS)];
    let mut all = plan(&[&first[..], &[start("kubelet.service")]].concat());
    assert_eq!(without_address(&mut all), first[1..]);
    assert_eq!(all.steps, [start("etcd.service"), start("kubelet.service")]);
    assert_eq!(without_address(&mut all), []);
    let last = [stop(ADDRESS), stop("kubelet.service"), reread()];
    // What goes in the middle makes room for what comes there.
    let before = [stop(BALANCER), start("etcd.service")];
    let mut all = plan(&[&before[..], &last].concat());
    assert_eq!(without_removal(&mut all), last);
    assert_eq!(all.steps, before);
    // Nobody looks for the API by that.
    let mut all = plan(&last[1..]);
    assert_eq!(without_removal(&mut all), []);
    assert_eq!(all.steps, last[1..]);
}

#[test]
fn masters_are_awaited_by_nodes_that_go_over() {
    use Part::{Apart, Brings, Follows, Goes, Interrupts, Leaves, Trails};
    let text = include_str!("../../../tests/spec/whole.yaml");
    let cluster = crate::spec::parse("cluster.yaml", text).unwrap().cluster;
    let host = |name: &str| cluster.hosts.iter().find(|host| host.name == name);
    let (master, node) = (host("m1").unwrap(), host("n1").unwrap());
    for (part, goes, awaited) in [
        (Apart, Goes, Brings),
        (Brings, Brings, Brings),
        (Interrupts, Leaves, Interrupts),
        (Follows, Goes, Follows),
        (Trails, Leaves, Trails),
    ] {
        assert_eq!((part.goes(), part.awaited(master)), (goes, awaited));
        assert_eq!(part.awaited(node), part);
    }
}

/// What is issued for its age alone is shown until then.
#[test]
fn a_certificate_that_lasts_keeps_nobody_from_where_it_is_shown() {
    let old = Step::Issue {
        name: "apiserver".to_owned(),
        authority: "kubernetes-ca",
        why: crate::judge::Why::Ends(181),
    };
    for (step, lasts) in [(old, true), (issue("apiserver"), false)] {
        let plan = plan(&[step]);
        assert_eq!((serves(&plan), lets_go(&plan)), (lasts, !lasts));
    }
}
