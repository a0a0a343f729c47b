//! Kubelets: who is given a token, and what would lead one into another cluster.

use std::collections::BTreeSet;
use std::time::SystemTime;

use sternpost::facts::{self, Entry, Facts, Kind};
use sternpost::plan::Step;
use sternpost::resource::Authority;

use super::words;
use super::world::World;

const CLIENT: &str = "/var/lib/kubelet/pki/kubelet-client-current.pem";
const SERVER: &str = "/var/lib/kubelet/pki/kubelet-server-current.pem";
const KNOWN: &str = "/etc/kubernetes/kubelet.conf";

/// A kubelet that has its certificate is given no token, whatever becomes of the one it had.
#[test]
fn who_has_joined_needs_no_token() {
    let world = World::new("whole", "n1");
    let joins = |facts: &Facts| {
        let steps = world.plan(facts).steps;
        let paths = steps.into_iter().filter_map(|step| match step {
            Step::Share { paths } => Some(paths),
            _ => None,
        });
        paths
            .flatten()
            .any(|path| path.ends_with("bootstrap-kubelet.conf"))
    };
    assert!(joins(&Facts::default()));
    let mut facts = Facts::default();
    facts.entries.insert(KNOWN.to_owned(), opaque());
    // That file only says where the certificate is. With one that has ended, or that another cluster
    // gave it, it is a newcomer.
    let own = &world.authorities[&Authority::Kubernetes];
    let other = pki::Authority::new("kubernetes", world.now).unwrap();
    let long_ago = world.now - pki::LEAF_LIFETIME * 2;
    for (authority, issued, wanted) in [
        (own, world.now, false),
        (own, long_ago, true),
        (&other, world.now, true),
    ] {
        let profile = pki::Profile::client("system:node:n1", &["system:nodes"]);
        let issued = authority.issue(&profile, issued).unwrap();
        let shown = facts::Certificate {
            pem: issued.certificate_pem,
            key_fits: true,
            key_owner: None,
        };
        facts.certificates.insert(CLIENT.to_owned(), shown);
        assert_eq!(joins(&facts), wanted);
    }
}

/// A host that holds it all, with what its kubelet shows and serves under, by who signed that.
fn shown(world: &World, signed: [Option<&pki::Authority>; 2]) -> Facts {
    let mut facts = world.done();
    let profile = pki::Profile::client("system:node:n1", &["system:nodes"]);
    for (path, signed) in [CLIENT, SERVER].into_iter().zip(signed) {
        let Some(authority) = signed else { continue };
        let pem = authority
            .issue(&profile, world.now)
            .unwrap()
            .certificate_pem;
        let shown = facts::Certificate {
            pem,
            key_fits: true,
            key_owner: None,
        };
        facts.certificates.insert(path.to_owned(), shown);
        facts.entries.insert(path.to_owned(), opaque());
    }
    facts.entries.entry(KNOWN.to_owned()).or_insert_with(opaque);
    facts
}

fn opaque() -> Entry {
    Entry {
        kind: Kind::File {
            sha256: "another".to_owned(),
            text: None,
        },
        mode: 0o600,
        owner: "root".to_owned(),
    }
}

/// A kubelet takes the certificate that lies in its folder before anything else, for as long as it
/// lasts: what is of another cluster is away when it is started, and comes back with `reset`.
#[test]
fn a_kubelet_of_another_cluster_is_led_away_from_it() {
    let other = pki::Authority::new("kubernetes", SystemTime::now()).unwrap();
    let text = include_str!("../spec/whole.yaml");
    let text = text.replace("controlPlane]", "controlPlane, node]");
    for (world, of_a_node) in [
        (World::new("whole", "n1"), true),
        (World::described(&text, "m3"), false),
    ] {
        let own = &world.authorities[&Authority::Kubernetes];
        let (own, other) = (Some(own), Some(&other));
        let node = of_a_node.then_some(KNOWN).into_iter();
        let both: Vec<_> = node.clone().chain([CLIENT, SERVER]).collect();
        let client: Vec<_> = node.chain([CLIENT]).collect();
        for (signed, wanted) in [
            ([own, own], &[][..]),
            ([other, other], &both),
            ([other, own], &client),
            ([other, None], &client),
            ([own, other], &[SERVER]),
            ([None, other], &[SERVER]),
        ] {
            let mut facts = shown(&world, signed);
            let known = wanted.iter().map(ToString::to_string);
            facts.others = known.collect();
            let away = |path: &&str| {
                [
                    format!(
                        "keep what stands at {path}: it is not ours, and reset puts it back"
                    ),
                    format!(
                        "take {path} away: it is of another cluster, in which kubelet would go on"
                    ),
                ]
            };
            let since = wanted.join(", ");
            let restart = format!("restart kubelet.service, since {since} changed");
            let mut lines: Vec<_> = wanted.iter().flat_map(away).collect();
            lines.extend((!wanted.is_empty()).then_some(restart));
            let mut said = words(&world.plan(&facts));
            said.retain(|line| !line.starts_with("bring "));
            assert_eq!(said, lines, "{signed:?}");
            // What is kept already is not kept once more.
            facts.others = BTreeSet::new();
            lines.retain(|line| !line.starts_with("keep "));
            let mut said = words(&world.plan(&facts));
            said.retain(|line| !line.starts_with("bring "));
            assert_eq!(said, lines, "{signed:?}");
        }
        // A run was broken off between the two.
        let mut facts = shown(&world, [own, own]);
        let unread = BTreeSet::from([CLIENT.to_owned()]);
        facts.unread.insert("kubelet.service".to_owned(), unread);
        let wanted = format!("restart kubelet.service, since {CLIENT} changed");
        assert_eq!(words(&world.plan(&facts)), [wanted]);
    }
}
