//! What is found between hosts, and what is put right.

use super::super::*;
use super::{cluster, round};
use crate::flows::{Purpose, Saw, Way, Zones};
use crate::render;

/// Nothing passes from `from` to `to` by `way`.
fn close(round: &mut Round, from: &str, to: &str, way: Way, saw: Saw) {
    let mut hit = false;
    for (flow, passage) in &mut round.flows {
        if flow.from == from && flow.to == to && flow.way == way {
            *passage = Passage::Closed { saw };
            hit = true;
        }
    }
    assert!(hit, "no flow {from} {to} {way}");
}

#[test]
fn what_does_not_come_through_is_named_with_the_command_that_opens_it() {
    let cluster = cluster();
    let mut round = round(&cluster);
    let peers = Way::Tcp(2380);
    close(&mut round, "m1", "m2", peers, Saw::Silence);
    close(&mut round, "m3", "m2", peers, Saw::Silence);
    let findings = preflight(&cluster, &round);
    let said = format!("{}; {}", findings[0].what, findings[0].what.way_out());
    assert_eq!(
        said,
        "tcp/2380 (etcd members) does not come through from m1, m3: nothing comes back; \
         nothing that filters was found there: look at what is between (a cloud's security group), and at what they let out"
    );
    assert_eq!((findings.len(), findings[0].host.as_str()), (1, "m2"));
    round.sights.get_mut("m2").unwrap().firewall = Firewall::Ufw;
    let findings = preflight(&cluster, &round);
    let What::Closed(closed) = &findings[0].what else {
        panic!("{findings:?}")
    };
    let wanted = ["100", "102"].map(|last| {
        format!("ufw allow proto tcp from 192.168.220.{last} to any port 2380")
    });
    assert_eq!(closed.open, wanted);
    assert_eq!(closed.purpose, Purpose::Members);
    let fixes = fixes(&cluster, &round, &findings);
    assert_eq!(fixes.len(), 1);
    assert_eq!(fixes[0].repair.lines(), wanted);
}

/// No rule on the other side lets out what a host itself holds back.
#[test]
fn what_a_host_does_not_let_out_is_said_of_it_and_opens_nothing() {
    let cluster = cluster();
    let mut round = round(&cluster);
    let adverts = Way::Protocol(112);
    round.sights.get_mut("m2").unwrap().firewall = Firewall::Ufw;
    close(&mut round, "m1", "m2", adverts, Saw::Forbidden);
    let findings = preflight(&cluster, &round);
    let said = format!("{}; {}", findings[0].what, findings[0].what.way_out());
    let wanted = "protocol 112 (VRRP adverts) does not come through from m1: its own rules do not \
                  let it out; let it out on m1, in the rules of its output";
    assert_eq!(said, wanted);
    assert_eq!(fixes(&cluster, &round, &findings), []);
    // What another filters here is opened for that one alone.
    close(&mut round, "m3", "m2", adverts, Saw::Unreachable);
    let findings = preflight(&cluster, &round);
    let said = format!("{}; {}", findings[0].what, findings[0].what.way_out());
    let wanted = "protocol 112 (VRRP adverts) does not come through from m1, m3: it is said to be \
                  unreachable; its own rules do not let it out (ufw filters there); \
                  let it out on m1, in the rules of its output; \
                  open it there: ufw allow proto vrrp from 192.168.220.102";
    assert_eq!(said, wanted);
}

/// firewalld is told of the interface that is dialled.
#[test]
fn what_is_opened_knows_its_interface() {
    let cluster = cluster();
    let mut round = round(&cluster);
    close(&mut round, "m1", "m2", Way::Tcp(2380), Saw::Silence);
    let zones = Zones::active("internal\n  interfaces: ens33\n");
    round.sights.get_mut("m2").unwrap().firewall = Firewall::Firewalld(zones);
    let findings = preflight(&cluster, &round);
    let What::Closed(closed) = &findings[0].what else {
        panic!("{findings:?}")
    };
    let zoned = |line: &String| line.contains(" --zone=internal ");
    assert!(
        closed.open.len() == 2 && closed.open.iter().all(zoned),
        "{closed:?}"
    );
}

#[test]
fn an_address_that_is_somebodys_is_named_and_ours_is_not() {
    let cluster = cluster();
    let vip: IpAddr = "192.168.220.224".parse().unwrap();
    let claimed = |by: &str, change: fn(&mut Round)| -> Vec<(String, What)> {
        let mut round = round(&cluster);
        round.claims = vec![Claim {
            asked: "m1".into(),
            address: vip,
            by: vec![by.to_owned()],
        }];
        change(&mut round);
        let found = preflight(&cluster, &round).into_iter();
        found.map(|one| (one.host, one.what)).collect()
    };
    fn ours(round: &mut Round) {
        for sight in round.sights.values_mut() {
            sight.machine.system.ours = true;
        }
    }
    fn holds(round: &mut Round) {
        let machine = &mut round.sights.get_mut("m2").unwrap().machine;
        let vip = "192.168.220.224".parse().unwrap();
        machine.interfaces[0].addresses.push(vip);
    }
    let taken = |by: &str| {
        let (address, by) = (vip, by.to_owned());
        vec![("m1".to_owned(), What::AddressTaken(Taken { address, by }))]
    };
    let (stranger, m2) = ("02:00:00:00:00:99", "02:00:00:00:00:101");
    let router = "00:00:5e:00:01:33";
    assert_eq!(claimed(stranger, |_| {}), taken(stranger));
    assert_eq!(claimed(router, |_| {}), taken(router));
    assert_eq!(
        claimed(m2, holds),
        [("m2".to_owned(), What::AddressHere(vip))]
    );
    let serving = |round: &mut Round| {
        ours(round);
        holds(round);
    };
    assert_eq!(claimed(m2, serving), []);
    // One that comes new to a cluster that serves is none of ours to have.
    fn fresh(round: &mut Round) {
        ours(round);
        round.fresh.insert("192.168.220.224".parse().unwrap());
    }
    assert_eq!(claimed(stranger, fresh), taken(stranger));
    assert_eq!(claimed(router, fresh), taken(router));
    let here = |round: &mut Round| {
        fresh(round);
        holds(round);
    };
    assert_eq!(
        claimed(m2, here),
        [("m2".to_owned(), What::AddressHere(vip))]
    );
    assert_eq!(claimed(router, ours), []);
    assert_eq!(claimed(stranger, ours), taken(stranger));
    let one_silent = |round: &mut Round| {
        ours(round);
        round.sights.remove("m3");
    };
    assert_eq!(claimed(stranger, one_silent), []);
}

#[test]
fn a_balancer_may_refuse_while_it_waits_and_may_not_keep_silent() {
    let cluster = cluster();
    let called = |replies: &[Reply], ours: bool| {
        let mut round = round(&cluster);
        let machine = &mut round.sights.get_mut("m3").unwrap().machine;
        machine.system.ours = ours;
        round.calls = vec![EndpointCall {
            host: "m1".into(),
            address: "192.168.220.224".parse().unwrap(),
            replies: replies.to_vec(),
        }];
        let findings = preflight(&cluster, &round);
        findings.first().map(|one| one.what.to_string())
    };
    assert_eq!(called(&[Reply::Heard, Reply::Refused], false), None);
    assert_eq!(
        called(&[Reply::Heard, Reply::Silence], false).unwrap(),
        "192.168.220.224 port 6443 did not answer it in 1 of 2 tries"
    );
    assert!(called(&[Reply::Refused], true).is_some());
}

#[test]
fn what_is_safe_is_put_right_as_apply_would() {
    let cluster = cluster();
    let mut round = round(&cluster);
    let sight = round.sights.get_mut("n1").unwrap();
    sight.machine.system.swaps = vec!["/dev/sda5".into()];
    sight.machine.system.swap_units = vec!["dev-sda5.swap".into()];
    sight.kernel.settings.clear();
    sight.names = "127.0.0.1 localhost\n".into();
    let findings = preflight(&cluster, &round);
    let fixes = fixes(&cluster, &round, &findings);
    assert!(fixes.iter().all(|fix| fix.host == "n1"));
    let lines: Vec<_> = fixes.iter().flat_map(|fix| fix.repair.lines()).collect();
    for wanted in [
        "mask dev-sda5.swap",
        "swap off: /dev/sda5",
        "comment its lines in /etc/fstab, with a copy in /etc/fstab.sternpost",
        "write /etc/modules-load.d/sternpost.conf: overlay, br_netfilter, vxlan",
        "load overlay, br_netfilter, vxlan",
    ] {
        assert!(lines.iter().any(|line| line == wanted), "{lines:?}");
    }
    let files = fixes.iter().find_map(|fix| match &fix.repair {
        Repair::Kernel { files, .. } => Some(files),
        Repair::Swap { .. }
        | Repair::Names { .. }
        | Repair::Carry { .. }
        | Repair::Open { .. } => None,
    });
    let host = cluster.hosts.iter().find(|host| host.name == "n1").unwrap();
    let laid = render::kernel(&cluster, host).into_iter();
    let laid: Vec<_> = laid.map(|file| (file.path, file.content)).collect();
    assert_eq!(files, Some(&laid));
    let orders: usize = fixes.iter().map(|fix| fix.repair.orders().len()).sum();
    assert_eq!(orders, 1 + 3 + 1);
}
