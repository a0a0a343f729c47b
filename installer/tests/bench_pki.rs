//! `make bench-pki`: that what it times is made and is good, and that its page says what was
//! measured.
//!
//! Leaves to the bench: how long it takes.

#![expect(clippy::unwrap_used, reason = "tests")]

#[path = "../benches/pki/ours.rs"]
mod ours;
#[path = "../benches/pki/table.rs"]
mod table;

use std::path::Path;

use ours::{certificates, cluster, ours};
use pki::KeyKind;
use table::{BOUND, Maker, OURS, Record};

#[test]
fn all_of_a_cluster_is_made() {
    let cluster = cluster().unwrap();
    let certificates = certificates(&cluster);
    for host in ["m1", "m2", "m3", "n1", "n2"] {
        assert!(
            cluster.hosts.iter().any(|known| known.name == host),
            "{host}"
        );
    }
    let keys = ours(&cluster, KeyKind::P256).unwrap();
    assert_eq!(keys, certificates.len() + 4, "three authorities and sa.key");
    assert_eq!(
        keys,
        record().kinds.first().unwrap().keys,
        "as was measured"
    );
}

#[test]
fn the_page_says_what_was_measured() {
    let record = record();
    assert_eq!(record.page(), read("bench-pki.md"));
    assert!(record.median().unwrap() <= BOUND, "what is published");
    for kind in &record.kinds {
        let names: Vec<_> = kind
            .makers
            .iter()
            .map(|maker| maker.name.as_str())
            .collect();
        assert_eq!(names, [OURS, "openssl", "cfssl"], "{}", kind.kind);
    }
}

#[test]
fn a_bound_is_held_against_the_median() {
    let mut record = record();
    let mut slow = Maker::of(OURS);
    slow.millis = vec![1.0, 51.0, 52.0];
    record.kinds.first_mut().unwrap().makers.insert(0, slow);
    assert!(record.median().unwrap() > BOUND);
}

fn record() -> Record {
    serde_json::from_str(&read("bench-pki.json")).unwrap()
}

fn read(name: &str) -> String {
    let docs = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs");
    std::fs::read_to_string(docs.join(name)).unwrap()
}
