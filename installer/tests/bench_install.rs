//! `make bench-install`: that its page says what was measured, and that what is published keeps
//! what is promised.
//!
//! Leaves to the trials of booted machines: measuring it.

#![expect(clippy::unwrap_used, reason = "tests")]

#[path = "machines/record.rs"]
mod record;

use std::path::Path;
use std::time::Duration;

use record::{AGAIN, GREEN, GREEN_NODES, Record, SERVING};

/// Each of the masters, and each unit that a client of the address is led by.
const RESTARTS: usize = 3 * 4;

#[test]
fn the_page_says_what_was_measured() {
    assert_eq!(
        published().page(),
        read("bench-install.md"),
        "draw it anew: make bench-install KEEP=docs/bench-install.json"
    );
}

#[test]
fn what_is_published_keeps_what_is_promised() {
    assert_eq!(missed(&published()), [""; 0]);
}

#[test]
fn all_of_it_is_published() {
    let record = published();
    let hosts = |laid: &record::Laid| laid.hosts.keys().cloned().collect::<Vec<_>>();
    let (masters, nodes) = (record.masters.unwrap(), record.nodes.unwrap());
    assert_eq!(hosts(&masters.figures), ["m1", "m2", "m3"]);
    assert_eq!(hosts(&nodes.figures), ["m1", "m2", "m3", "n1", "n2"]);
    assert_eq!(nodes.figures.nodes, GREEN_NODES);
    let restarts = record.restarts.unwrap();
    assert_eq!(restarts.figures.len(), RESTARTS);
    let commits = [masters.circumstances, nodes.circumstances].map(|one| one.commit);
    let of = &restarts.circumstances.commit;
    assert!(commits.iter().all(|commit| commit == of), "one run");
    assert!(!of.contains("dirty"), "{of}");
}

#[test]
fn a_host_s_time_is_that_of_its_run() {
    let record = published();
    for measured in [record.masters.unwrap(), record.nodes.unwrap()] {
        let laid = measured.figures;
        for (host, kinds) in &laid.hosts {
            let sum: f64 = kinds.values().sum();
            assert!((sum - laid.applied).abs() < 0.5, "{host}: {sum:.1} s");
        }
    }
}

#[test]
fn what_is_missed_is_found_out() {
    for (what, spoil) in SPOILT {
        let mut record = published();
        spoil(&mut record);
        let missed = missed(&record);
        assert!(missed.iter().any(|said| said.starts_with(what)), "{what}");
    }
}

type Spoil = fn(&mut Record);
const SPOILT: [(&str, Spoil); 4] = [
    ("serving", |record| {
        record.masters.as_mut().unwrap().figures.served = 20.1;
    }),
    ("again", |record| {
        record.nodes.as_mut().unwrap().figures.again = 5.1;
    }),
    ("green", |record| {
        let green = &mut record.nodes.as_mut().unwrap().figures.green;
        green.as_mut().unwrap().all = 60.1;
    }),
    ("m1/", |record| {
        let restarts = &mut record.restarts.as_mut().unwrap().figures;
        restarts.first_mut().unwrap().failed = 1;
    }),
];

/// What a record does not keep.
fn missed(record: &Record) -> Vec<String> {
    let mut missed = Vec::new();
    let mut hold = |what: &str, took: f64, bound: Duration| {
        if took > bound.as_secs_f64() {
            missed.push(format!("{what}: {took:.1} s"));
        }
    };
    for measured in [&record.masters, &record.nodes].into_iter().flatten() {
        let laid = &measured.figures;
        hold("serving", laid.served, SERVING);
        hold("again", laid.again, AGAIN);
        if let Some(green) = &laid.green {
            hold("green", green.all, GREEN);
        }
    }
    let restarts = record.restarts.iter().flat_map(|one| &one.figures);
    let failed = restarts.filter(|one| one.failed > 0);
    missed.extend(failed.map(|one| format!("{}: {} failed", one.what, one.failed)));
    missed
}

fn published() -> Record {
    serde_json::from_str(&read("bench-install.json")).unwrap()
}

fn read(name: &str) -> String {
    let docs = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs");
    std::fs::read_to_string(docs.join(name)).unwrap()
}
