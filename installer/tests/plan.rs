//! The plan: everything on a bare host, nothing on one that has it all, and just what
//! follows from one thing that changed.

#![expect(
    clippy::indexing_slicing,
    clippy::unwrap_used,
    clippy::wildcard_enum_match_arm,
    reason = "tests"
)]

#[path = "plan/kubelet.rs"]
mod kubelet;
#[path = "plan/over.rs"]
mod over;
#[path = "plan/world.rs"]
mod world;

use std::time::Duration;

use sternpost::facts::{Entry, Facts, Kind};
use sternpost::plan::{Change, Inputs, Plan, Step, plan, show};

use world::{Bare, World};

const DAY: Duration = Duration::from_secs(86_400);

/// The steps of a plan as words, for comparison.
fn words(plan: &Plan) -> Vec<String> {
    let text = show(plan);
    let lines = text
        .lines()
        .skip(1)
        .filter(|line| !line.starts_with("    "));
    lines.map(|line| line.trim().to_owned()).collect()
}

#[test]
fn a_host_that_holds_it_all_needs_nothing() {
    for (spec, host) in [
        ("whole", "m1"),
        ("whole", "n1"),
        ("dual", "m1"),
        ("external", "m1"),
    ] {
        let world = World::new(spec, host);
        let plan = world.plan(&world.done());
        assert_eq!(plan.steps, [], "{spec} {host}");
        assert_eq!(show(&plan), "m1: nothing to do\n");
    }
}

#[test]
fn a_bare_host_gets_everything_in_the_order_of_its_stages() {
    let world = World::new("whole", "m1");
    let plan = plan(Inputs {
        host: "m1",
        wanted: &world.wanted,
        facts: &Facts::default(),
        programs: &|_| None,
        trust: &Bare,
        now: world.now,
    });
    let started: Vec<_> = plan
        .steps
        .iter()
        .filter_map(|step| match step {
            Step::Start { unit, .. } => Some(unit.as_str()),
            _ => None,
        })
        .collect();
    assert_eq!(
        started,
        [
            "etcd.service",
            "bootstrap-signer.service",
            "api-lb.service",
            "vip-daemon.service",
            "kube-apiserver.service",
            "kube-controller-manager.service",
            "kube-scheduler.service",
            "sternpost-addons.service",
        ]
    );
    let first_unit = plan
        .steps
        .iter()
        .position(|step| matches!(step, Step::Enable { .. }));
    let last_file = plan.steps.iter().rposition(|step| {
        matches!(
            step,
            Step::Write { .. }
                | Step::Issue { .. }
                | Step::Share { .. }
                | Step::Install { .. }
        )
    });
    assert!(last_file < first_unit, "files come first");
}

#[test]
fn what_changed_is_done_and_what_follows_from_it() {
    let world = World::new("whole", "m1");
    let changed = |change: &dyn Fn(&mut Facts)| {
        let mut facts = world.done();
        change(&mut facts);
        words(&world.plan(&facts))
    };
    let edit = |path: &'static str| {
        move |facts: &mut Facts| {
            facts.entries.get_mut(path).unwrap().kind = Kind::File {
                sha256: "other".into(),
                text: Some("other\n".into()),
            };
        }
    };
    // A unit file: the service starts anew.
    assert_eq!(
        changed(&edit("/etc/systemd/system/etcd.service")),
        [
            "change file /etc/systemd/system/etcd.service 0644 root",
            "restart etcd.service, since /etc/systemd/system/etcd.service changed",
        ]
    );
    // A file that is read again: no connection is lost for it.
    assert_eq!(
        changed(&edit("/etc/sternpost/api-lb.yaml")),
        [
            "change file /etc/sternpost/api-lb.yaml 0644 root",
            "reload api-lb.service, since /etc/sternpost/api-lb.yaml changed",
        ]
    );
    // A program: a reload would not bring it.
    assert_eq!(
        changed(&edit("/usr/local/bin/api-lb")),
        [
            "replace api-lb",
            "restart api-lb.service, since /usr/local/bin/api-lb changed",
        ]
    );
    // Rights alone: nothing starts anew, since what is in the file stays.
    assert_eq!(
        changed(&|facts: &mut Facts| {
            facts
                .entries
                .get_mut("/etc/kubernetes/pki/sa.key")
                .unwrap()
                .mode = 0o644;
        }),
        ["bring /etc/kubernetes/pki/sa.key, /etc/kubernetes/pki/sa.pub"]
    );
    // A key of somebody else's.
    assert_eq!(
        changed(&|facts: &mut Facts| {
            facts.certificates.get_mut("scheduler").unwrap().key_fits = false;
        }),
        [
            "issue certificate scheduler by kubernetes-ca: its key is missing or another one's",
            "restart kube-scheduler.service, since /etc/kubernetes/pki/scheduler.crt changed",
        ]
    );
    // API servers read their certificates again by themselves.
    assert_eq!(
        changed(&|facts: &mut Facts| {
            facts.certificates.remove("apiserver");
        }),
        ["issue certificate apiserver by kubernetes-ca: there is none"]
    );
}

#[test]
fn a_unit_that_died_is_started_and_one_that_would_not_come_back_enabled() {
    let world = World::new("whole", "m1");
    let mut facts = world.done();
    facts.units.get_mut("etcd.service").unwrap().active = false;
    assert_eq!(words(&world.plan(&facts)), ["start etcd.service"]);
    let mut facts = world.done();
    facts.units.get_mut("etcd.service").unwrap().enabled = false;
    assert_eq!(words(&world.plan(&facts)), ["enable etcd.service"]);
}

#[test]
fn certificates_are_renewed_when_half_of_their_life_is_left() {
    let world = World::new("whole", "n1");
    let facts = world.done();
    let half = pki::LEAF_LIFETIME / 2;
    let before = world.plan_at(&facts, world.now + half - DAY);
    assert_eq!(before.steps, []);
    let after = world.plan_at(&facts, world.now + half + DAY);
    assert_eq!(
        words(&after),
        [
            "issue certificate kube-proxy by kubernetes-ca: it ends in 181 days",
            "issue certificate flannel by kubernetes-ca: it ends in 181 days",
            "restart kube-proxy.service, since /etc/kubernetes/pki/kube-proxy.crt changed",
            "restart flanneld.service, since /etc/kubernetes/pki/flannel.crt changed",
        ]
    );
}

#[test]
fn a_difference_is_shown_line_by_line() {
    let world = World::new("whole", "m1");
    let mut facts = world.done();
    let path = "/etc/sysctl.d/zz-sternpost.conf";
    facts.entries.get_mut(path).unwrap().kind = Kind::File {
        sha256: "other".into(),
        text: Some("net.core.somaxconn = 128\n".into()),
    };
    let plan = world.plan(&facts);
    let [
        Step::Write {
            change: Change::Content,
            ..
        },
    ] = plan.steps.as_slice()
    else {
        unreachable!("{:?}", plan.steps)
    };
    let text = show(&plan);
    assert!(
        text.contains("    -net.core.somaxconn = 128\n    +net.core.somaxconn = 16384\n"),
        "{text}"
    );
}

#[test]
fn a_plan_travels_as_json_without_a_secret() {
    let world = World::new("whole", "m1");
    let plan = world.plan(&Facts::default());
    let text = serde_json::to_string(&plan).unwrap();
    assert!(text.contains("\"do\":\"issue\""));
    assert!(!text.contains("PRIVATE KEY"));
}

/// What others wrote to `/etc/hosts` stays, and what cannot be seen is not written over.
#[test]
fn names_are_added_to_what_others_wrote() {
    let world = World::new("whole", "n1");
    let mut facts = world.done();
    let hosts = |text: Option<&str>| Entry {
        kind: Kind::File {
            sha256: "another".to_owned(),
            text: text.map(str::to_owned),
        },
        mode: 0o644,
        owner: "root".to_owned(),
    };
    let own = "127.0.0.1 localhost\n192.0.2.99 printer\n";
    let path = "/etc/hosts".to_owned();
    facts.entries.insert(path.clone(), hosts(Some(own)));
    let steps = world.plan(&facts).steps;
    let [Step::Write { content, .. }] = steps.as_slice() else {
        unreachable!("{steps:?}")
    };
    let content = content.text();
    assert!(content.starts_with(own), "{content}");
    assert!(content.contains("\n192.168.220.224 k8s-api.example.org\n"));
    facts.entries.insert(path, hosts(None));
    assert_eq!(world.plan(&facts).steps, []);
}

/// What is written to the API is changed by an apply alone: a start leaves what is there.
#[test]
fn a_manifest_that_has_changed_is_applied_also_after_a_start() {
    let world = World::new("whole", "m1");
    let with = |path: &str, active: bool| {
        let mut facts = world.done();
        facts.entries.get_mut(path).unwrap().kind = Kind::File {
            sha256: "other".into(),
            text: Some("other\n".into()),
        };
        let unit = facts.units.get_mut("sternpost-addons.service");
        unit.unwrap().active = active;
        words(&world.plan(&facts))
    };
    let dns = "/etc/kubernetes/addons/10-coredns.yaml";
    let file = format!("change file {dns} 0644 root");
    let start = "start sternpost-addons.service".to_owned();
    let reload = format!("reload sternpost-addons.service, since {dns} changed");
    assert_eq!(with(dns, true), [file.clone(), reload.clone()]);
    assert_eq!(with(dns, false), [file, start, reload]);
    let unit = "/etc/systemd/system/sternpost-addons.service";
    assert_eq!(
        with(unit, true),
        [
            format!("change file {unit} 0644 root"),
            format!("restart sternpost-addons.service, since {unit} changed"),
        ]
    );
    let bare = words(&world.plan(&Facts::default()));
    assert!(
        !bare.iter().any(|line| line.starts_with("reload ")),
        "{bare:?}"
    );
}

/// API servers read what they show to an etcd of others again by themselves, and whom they trust
/// there only when they start.
#[test]
fn another_authority_of_the_etcd_of_others_starts_the_api_server_anew() {
    let world = World::new("external", "m1");
    let mut facts = world.done();
    let path = "/etc/kubernetes/pki/etcd/external-ca.crt";
    facts.entries.remove(path).unwrap();
    let lines = words(&world.plan(&facts));
    let wanted = format!("restart kube-apiserver.service, since {path} changed");
    assert_eq!(lines.len(), 2, "{lines:?}");
    assert_eq!(lines[1], wanted);
}
