//! What disks and kernels lack, and names that nobody knows.

use super::*;

const FORWARD: &str = "net.ipv4.ip_forward";

#[test]
fn a_slow_disk_and_a_kernel_that_wants_something_are_named() {
    let cluster = cluster();
    let with = |change: fn(&mut Sight)| {
        let mut round = round(&cluster);
        change(round.sights.get_mut("n1").unwrap());
        let found = preflight(&cluster, &round).into_iter();
        found.map(|finding| finding.what).collect::<Vec<_>>()
    };
    fn timed(sight: &mut Sight, p99: Duration) {
        sight.syncs = Some(Ok(Syncs {
            folder: "/var/lib".into(),
            writes: 400,
            p99,
            longest: p99,
        }));
    }
    assert_eq!(with(|sight| timed(sight, SYNC)), []);
    assert_eq!(
        with(|sight| timed(sight, SYNC + Duration::from_micros(300))),
        [What::SlowDisk(10_300)]
    );
    assert_eq!(
        with(|sight| sight.syncs = Some(Err("read-only".into()))),
        [What::Unwritable("read-only".into())]
    );
    let off = |sight: &mut Sight| {
        sight.kernel.settings.insert(FORWARD.into(), "0".into());
    };
    assert_eq!(
        with(off),
        [What::Setting(vec![Setting {
            key: FORWARD.into(),
            is: Some("0".into()),
            wanted: "1".into()
        }])]
    );
    let absent = |sight: &mut Sight| {
        sight.kernel.modules.insert("vxlan".into(), Module::Absent);
    };
    assert_eq!(with(absent), [What::NoModule(vec!["vxlan".into()])]);
    const OWN: std::net::IpAddr = std::net::IpAddr::V4(std::net::Ipv4Addr::LOCALHOST);
    let itself = |sight: &mut Sight| sight.machine.own_dns = Some(OWN);
    assert_eq!(with(itself), [What::OwnDns(OWN)]);
    let loadable = |sight: &mut Sight| {
        let module = "overlay".to_owned();
        sight.kernel.modules.insert(module, Module::Loadable);
    };
    assert_eq!(with(loadable), [What::Module(vec!["overlay".into()])]);
    assert_eq!(with(|sight| sight.names.clear()), [What::Names]);
}
