//! Where a kubelet that has joined looks for the API.

use std::collections::BTreeSet;

use sternpost::facts::{Entry, Kind};
use sternpost::plan::Step;

use super::words;
use super::world::World;

/// A kubelet has written down where the API was when it joined, and does not again.
#[test]
fn a_kubelet_that_has_joined_is_led_to_where_the_api_is() {
    let path = "/etc/kubernetes/kubelet.conf";
    let server = "https://k8s-api.example.org:6443";
    let old = "https://192.0.2.9:6443";
    for (host, dials, wanted) in [
        ("n1", None, false),
        ("n1", Some(server), false),
        ("n1", Some(old), true),
        // It asks the API server beside it.
        ("m1", Some(old), false),
    ] {
        let mut world = World::new("whole", host);
        let mut facts = world.done();
        let wanted_of = |dials| World::dialling("whole", host, dials).wanted;
        world.wanted = wanted_of(dials);
        let kind = Kind::File {
            sha256: "as kubelet wrote it".to_owned(),
            text: None,
        };
        let entry = Entry {
            kind,
            mode: 0o600,
            owner: "root".to_owned(),
        };
        facts.entries.insert(path.to_owned(), entry);
        // It is known to the journal by nothing but its unit.
        facts.others.insert(path.to_owned());
        let unit = "/etc/systemd/system/kubelet.service".to_owned();
        facts.laid.insert(unit);
        let plan = world.plan(&facts);
        let lines = words(&plan);
        if !wanted {
            assert_eq!(lines, [""; 0], "{host} {dials:?}");
            continue;
        }
        let change = format!("change file {path} 0600 root");
        let restart = format!("restart kubelet.service, since {path} changed");
        assert_eq!(lines, [change, restart]);
        let Some(Step::Write { content, .. }) = plan.steps.first() else {
            unreachable!("{lines:?}")
        };
        let current = "/var/lib/kubelet/pki/kubelet-client-current.pem";
        for part in [
            format!("server: {server}"),
            format!("client-certificate: {current}"),
            format!("client-key: {current}"),
            "certificate-authority: /etc/kubernetes/pki/ca.crt".to_owned(),
        ] {
            assert!(content.text().contains(&part), "{}", content.text());
        }
        // Broken off between the two: the file is right, and its unit has not read it.
        world.wanted = wanted_of(Some(server));
        let unread = BTreeSet::from([path.to_owned()]);
        facts.unread.insert("kubelet.service".to_owned(), unread);
        let restart = format!("restart kubelet.service, since {path} changed");
        assert_eq!(words(&world.plan(&facts)), [restart]);
        // What others have there is kept.
        facts.laid.clear();
        world.wanted = wanted_of(Some(old));
        let kept = words(&world.plan(&facts));
        let keep = format!("keep what stands at {path}: ");
        assert!(kept.iter().any(|line| line.starts_with(&keep)), "{kept:?}");
    }
}
