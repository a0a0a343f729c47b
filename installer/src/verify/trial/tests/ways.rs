//! Hosts that there are not, and addresses of which there are two.

use super::*;

#[test]
fn without_nodes_or_masters_nothing_is_laid_down() {
    let mut cluster = cluster();
    let mut none = BTreeMap::<String, Fake>::new();
    let mut found = Vec::new();
    let stop = || false;
    let trial = Trial::new(&cluster, Pace::default(), UNIX_EPOCH, &stop);
    trial.run(&mut none, &mut |one| found.push(one));
    cluster.hosts.retain(|host| !host.is(Role::Node));
    let trial = Trial::new(&cluster, Pace::default(), UNIX_EPOCH, &stop);
    trial.run(&mut none, &mut |one| found.push(one));
    let said: Vec<_> = found.into_iter().map(|one| one.verdict).collect();
    let skipped = ["no control-plane host answers", "no host is to be a node"];
    assert_eq!(said, skipped.map(Verdict::Skipped));
}

/// What a Pod sees it says by the first address that leads to it.
#[test]
fn each_address_is_gone_through() {
    let mut cluster = cluster();
    cluster.endpoint.name = None;
    let six = "fd00::9".parse().unwrap();
    cluster.endpoint.addresses.insert(0, six);
    for (broken, lost) in [
        (Broken::Nothing, &[][..]),
        (
            Broken::Six,
            &["exec through [fd00::9]:6443", "logs through [fd00::9]:6443"][..],
        ),
    ] {
        let (found, _) = tried_on(&cluster, broken);
        let on = |bad: bool| -> Vec<_> {
            let all = found.iter().filter(|one| one.host == "n1");
            let all = all.filter(|one| !bad || one.is_bad());
            all.map(|one| one.check.as_str()).collect()
        };
        assert_eq!(on(true), lost, "{found:#?}");
        let asked = on(false);
        for check in [
            "exec through [fd00::9]:6443",
            "exec through 192.168.220.224:6443",
            "logs through [fd00::9]:6443",
            "logs through 192.168.220.224:6443",
            "DNS in its Pod",
        ] {
            let times = asked.iter().filter(|one| **one == check).count();
            assert_eq!(times, 1, "{check}: {asked:?}");
        }
    }
}
