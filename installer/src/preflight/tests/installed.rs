//! What others have installed, and what nobody has: programs, networks, what adds to units.

use std::collections::BTreeMap;

use crate::architecture::Architecture;
use crate::facts::DropIn;
use crate::flows::Carried;
use crate::flows::firewall::Words;
use crate::preflight::{Installed, Lacking, Weight, What, fixes, preflight};

use super::{Row, hold};

fn drop_in(unit: &str, runs: &[&str]) -> DropIn {
    DropIn {
        unit: format!("{unit}.service"),
        path: format!("/usr/lib/systemd/system/{unit}.service.d/10.conf"),
        runs: runs.iter().map(ToString::to_string).collect(),
    }
}

/// All that runs, but the unit's own program.
const BESIDE: &[&str] = &[
    "ExecCondition",
    "ExecReload",
    "ExecStartPost",
    "ExecStartPre",
    "ExecStop",
    "ExecStopPost",
];

const ROWS: &[Row] = &[
    (
        "n1",
        |s| s.networks = vec!["10-calico.conflist".into()],
        || Some(What::NetworkBefore("10-calico.conflist".into())),
    ),
    (
        "n1",
        |s| s.networks = vec!["10-calico.conflist.old".into()],
        || Some(What::Network("10-calico.conflist.old".into())),
    ),
    (
        "n1",
        |s| s.networks = vec!["87-podman.conflist".into()],
        || Some(What::Network("87-podman.conflist".into())),
    ),
    (
        "n1",
        |s| {
            s.tools.remove("iptables");
        },
        || {
            Some(What::Installed(Installed::NoTool(Lacking {
                names: vec!["iptables".into()],
                install: "install iptables".into(),
                instead: Some("networks.proxy: nftables"),
            })))
        },
    ),
    // Where nftables would not do either, it is no way out.
    (
        "n1",
        |s| {
            s.kernel = "5.10.0-32-amd64".into();
            s.tools.remove("iptables");
        },
        || {
            Some(What::Installed(Installed::NoTool(Lacking {
                names: vec!["iptables".into()],
                install: "install iptables".into(),
                instead: None,
            })))
        },
    ),
    (
        "m1",
        |s| {
            s.tools.remove("iptables");
        },
        || None,
    ),
    (
        "m1",
        |s| {
            s.tools.remove("sysctl");
        },
        || {
            Some(What::Installed(Installed::NoTool(Lacking {
                names: vec!["sysctl".into()],
                install: "install procps".into(),
                instead: None,
            })))
        },
    ),
    (
        "n1",
        |s| s.drop_ins = vec![drop_in("kubelet", &["ExecStart"])],
        || {
            Some(What::Installed(Installed::RunsElse(drop_in(
                "kubelet",
                &["ExecStart"],
            ))))
        },
    ),
    (
        "n1",
        |s| (s.drop_ins, s.ours) = (vec![drop_in("kubelet", &["ExecStart"])], true),
        || {
            Some(What::Installed(Installed::RunsElse(drop_in(
                "kubelet",
                &["ExecStart"],
            ))))
        },
    ),
    (
        "n1",
        |s| s.drop_ins = vec![drop_in("kubelet", &["ExecStart", "ExecStartPre"])],
        || {
            Some(What::Installed(Installed::RunsElse(drop_in(
                "kubelet",
                &["ExecStart", "ExecStartPre"],
            ))))
        },
    ),
    (
        "n1",
        |s| s.drop_ins = vec![drop_in("kubelet", BESIDE)],
        || Some(What::Installed(Installed::Adds(drop_in("kubelet", BESIDE)))),
    ),
    (
        "n1",
        |s| (s.drop_ins, s.ours) = (vec![drop_in("kubelet", BESIDE)], true),
        || Some(What::Installed(Installed::Adds(drop_in("kubelet", BESIDE)))),
    ),
    (
        "n1",
        |s| s.drop_ins = vec![drop_in("containerd", &[])],
        || Some(What::Installed(Installed::Adds(drop_in("containerd", &[])))),
    ),
    (
        "m1",
        |s| s.drop_ins = vec![drop_in("kubelet", &["ExecStart"])],
        || None,
    ),
];

#[test]
fn what_others_have_installed_or_nobody_has_a_row_on_each_side() {
    hold(ROWS);
}

/// It is named, and let through by what is named.
#[test]
fn a_firewall_that_keeps_pods_is_told() {
    let cluster = super::cluster();
    let mut round = super::round(&cluster);
    let lines = ["ufw allow from 172.30.0.0/16".to_owned()];
    let sight = round.sights.get_mut("n1").unwrap();
    sight.carried.unsaid = vec![words(&lines[0])];
    let findings = preflight(&cluster, &round);
    let wanted = Installed::KeepsPods(lines.to_vec());
    assert_eq!(findings[0].what, What::Installed(wanted));
    assert_eq!(
        findings[0].what.way_out(),
        "let them through: ufw allow from 172.30.0.0/16; --fix does it"
    );
    let fixes = fixes(&cluster, &round, &findings);
    assert_eq!(fixes[0].repair.lines(), lines);
}

fn words(line: &str) -> Words {
    line.split(' ').map(str::to_owned).collect()
}

/// What it does until it starts again, or may do, keeps nobody from beginning; only what is known
/// to be missing is said by `--fix`.
#[test]
fn a_firewall_that_may_let_pods_through_is_warned_of() {
    let cluster = super::cluster();
    let add = "--zone=trusted --add-source=172.30.0.0/16";
    let lasts = format!("firewall-cmd --permanent {add}");
    let now = format!("firewall-cmd {add}");
    let found = |unsaid: &[&String], doubtful: &[&String]| {
        let mut round = super::round(&cluster);
        let sight = round.sights.get_mut("n1").unwrap();
        let of = |lines: &[&String]| lines.iter().map(|line| words(line)).collect();
        sight.carried = Carried {
            unsaid: of(unsaid),
            doubtful: of(doubtful),
        };
        let findings = preflight(&cluster, &round);
        assert_eq!(findings.len(), 1, "{findings:?}");
        let fixes = fixes(&cluster, &round, &findings).into_iter();
        let lines: Vec<_> = fixes.flat_map(|fix| fix.repair.lines()).collect();
        let what = findings.into_iter().next().unwrap().what;
        (what.weight(), what, lines)
    };
    let of =
        |lines: &[&String]| lines.iter().map(ToString::to_string).collect::<Vec<_>>();
    assert_eq!(
        found(&[&lasts], &[]),
        (
            Weight::Warns,
            What::Installed(Installed::ForgetsPods(of(&[&lasts]))),
            of(&[&lasts])
        )
    );
    assert_eq!(
        found(&[], &[&lasts, &now]),
        (
            Weight::Warns,
            What::Installed(Installed::MayKeepPods(of(&[&lasts, &now]))),
            Vec::new()
        )
    );
    assert_eq!(
        found(&[&now], &[&lasts]),
        (
            Weight::Blocks,
            What::Installed(Installed::KeepsPods(of(&[&now]))),
            of(&[&now])
        )
    );
}

#[test]
fn the_way_out_names_packages_and_what_may_be_written_instead() {
    let names = ["iptables", "ip6tables", "ipset"].map(str::to_owned);
    let lacking = |instead| {
        Installed::NoTool(Lacking {
            names: names.to_vec(),
            install: "install iptables, ipset".to_owned(),
            instead,
        })
    };
    let instead = lacking(Some("networks.proxy: nftables"));
    assert_eq!(
        instead.to_string(),
        "iptables, ip6tables, ipset are not there, which components of this host run"
    );
    let packages = "install iptables, ipset";
    assert_eq!(
        instead.way_out(),
        format!("{packages}, or write networks.proxy: nftables")
    );
    assert_eq!(lacking(None).way_out(), packages);
    let folder = "/etc/systemd/system/kubelet.service.d";
    assert_eq!(
        Installed::RunsElse(drop_in("kubelet", &["ExecStart"])).way_out(),
        format!(
            "remove the package that brought it, or take it away: mkdir -p {folder}; ln -sf \
             /dev/null {folder}/10.conf; systemctl daemon-reload"
        )
    );
}

#[test]
fn names_that_are_gone_at_the_next_boot_are_told_of() {
    let cluster = super::cluster();
    let mut round = super::round(&cluster);
    let head = "# Your system has configured 'manage_etc_hosts' as True.\n";
    let n1 = round.sights.get_mut("n1").unwrap();
    n1.names.insert_str(0, head);
    let found = preflight(&cluster, &round);
    let found: Vec<_> = found.iter().map(|one| (&*one.host, &one.what)).collect();
    assert_eq!(found, [("n1", &What::NamesManaged)]);
}

#[test]
fn nftables_asks_for_a_kernel_of_its_own() {
    let text = super::SPEC.replacen("networks:", "networks:\n  proxy: nftables", 1);
    let cluster = crate::spec::parse("cluster.yaml", &text).unwrap().cluster;
    for (release, old) in [("5.10.0-32-amd64", true), ("5.14.0-503.el9", false)] {
        let mut round = super::round(&cluster);
        for sight in round.sights.values_mut() {
            sight.machine.system.kernel = release.to_owned();
            sight.machine.system.tools.insert("nft".to_owned());
        }
        let found = preflight(&cluster, &round);
        let found: Vec<_> = found.iter().map(|one| (&*one.host, &one.what)).collect();
        let what = What::Installed(Installed::OldKernel(release.to_owned()));
        let wanted = old.then_some(("n1", &what));
        assert_eq!(found, wanted.into_iter().collect::<Vec<_>>());
    }
}

#[test]
fn programs_for_another_processor_are_named_on_whoever_is_to_run_them() {
    let cluster = super::cluster();
    let mut round = super::round(&cluster);
    let other = |name: &str| (name.to_owned(), "aarch64".to_owned());
    let mut programs = BTreeMap::from([other("etcd"), other("etcdctl")]);
    programs.insert("kubelet".to_owned(), "x86_64".to_owned());
    round.programs = BTreeMap::from([(Architecture::Arm64, programs.clone())]);
    assert_eq!(preflight(&cluster, &round), []);
    round.programs = BTreeMap::from([(Architecture::Amd64, programs)]);
    let findings = preflight(&cluster, &round);
    let hosts: Vec<_> = findings.iter().map(|one| one.host.as_str()).collect();
    assert_eq!(hosts, ["m1", "m2", "m3"]);
    assert_eq!(
        findings[0].what.to_string(),
        "it is x86_64, and etcd, etcdctl are for aarch64"
    );
}
