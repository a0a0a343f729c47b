//! The tracker and its checks together.

use probe::Verdict::{Down, Up};
use vrrp::Priority;

use super::*;
use crate::ask::Board;
use crate::config::{Config, Router};
use crate::upgrade::Was;

const CONFIG: &str = "apiVersion: sternpost/v1\nkind: VipDaemon\nrouters:\n\
    - {name: api, interface: eth0, vrid: 51, priority: 200, addresses: [10.55.0.100], \
    track: TRACKS}\n";

fn router(tracks: &str) -> Router {
    let text = CONFIG.replace("TRACKS", tracks);
    Config::parse("test", &text).unwrap().routers.remove(0)
}

fn check(port: u16, weight: i32) -> String {
    format!("{{tcp: {{address: '127.0.0.1:{port}'}}, weight: {weight}}}")
}

#[test]
fn a_new_check_moves_nothing_before_it_has_a_verdict() {
    let before = router(&format!("[{}]", check(1, -50)));
    let after = router(&format!("[{}, {}]", check(2, 0), check(1, -50)));
    let tracker = Tracker::new(&before, false);
    let now = |tracker: &Tracker| {
        let standing = tracker.standing();
        (standing.priority.get(), standing.out)
    };
    assert_eq!(now(&tracker), (150, None));
    tracker.record(0, Up);
    assert_eq!(now(&tracker), (200, None));
    tracker.reconfigure(&before, &after);
    assert_eq!(now(&tracker), (200, None));
    tracker.record(0, Down);
    assert_eq!(now(&tracker), (1, Some(Out::Fault)));
    tracker.record(0, Up);
    assert_eq!(now(&tracker), (200, None));
}

#[test]
fn a_new_program_goes_on_with_what_the_old_one_had() {
    let tracker = Tracker::new(&router(&format!("[{}]", check(1, -50))), false);
    let was = |released| Was {
        active: true,
        released,
        priority: 200,
    };
    tracker.resume(was(false));
    assert_eq!(tracker.standing().priority, Priority::new(200));
    tracker.record(0, Down);
    assert_eq!(tracker.standing().priority, Priority::new(150));
    let tracker = Tracker::new(&router("[]"), false);
    tracker.resume(was(true));
    assert_eq!(tracker.standing().out, Some(Out::Released));
}

#[test]
fn release_lasts_until_it_is_taken_back() {
    let tracker = Tracker::new(&router("[]"), false);
    let mut seen = tracker.subscribe();
    tracker.release(true);
    assert_eq!(tracker.standing().out, Some(Out::Released));
    assert!(seen.has_changed().unwrap());
    seen.mark_unchanged();
    tracker.release(true);
    assert!(!seen.has_changed().unwrap());
    tracker.release(false);
    assert_eq!(tracker.standing().priority, Priority::new(200));
}

/// Runs the only check until the standing is `wanted`.
async fn becomes(tracks: &str, wanted: u8) {
    let router = router(tracks);
    let tracker = Tracker::new(&router, false);
    let board = Board::default();
    let mut standing = tracker.subscribe();
    let reached = standing.wait_for(|now| now.priority == Priority::new(wanted));
    let track = &router.tracks[0];
    tokio::select! {
        error = follow(&tracker, "api", 0, track, &board) => panic!("{error}"),
        reached = reached => drop(reached.unwrap()),
    }
}

#[tokio::test(start_paused = true)]
async fn k2_k4_reverse_init_rise_and_fall() {
    let here = "file: {path: /}";
    let gone = "file: {path: /no/such/file}";
    let weight = "weight: -50, interval: 10ms, fall: 3, rise: 3";
    for (target, more, wanted) in [
        (here, "", 200),
        (gone, "", 150),
        (here, ", reverse: true", 150),
        (gone, ", reverse: true", 200),
        // Good until it has failed.
        (gone, ", init: passed", 150),
    ] {
        let tracks = format!("[{{{target}, {weight}{more}}}]");
        becomes(&tracks, wanted).await;
    }
    let folder = tempfile::tempdir().unwrap();
    let value = folder.path().join("value");
    for (number, more, wanted) in
        [("3", "", 170), ("3", ", reverse: true", 230), ("99", "", 1)]
    {
        std::fs::write(&value, number).unwrap();
        let target = format!("fileValue: {{path: {}}}", value.display());
        let track = format!("[{{{target}, weight: -10, interval: 10ms{more}}}]");
        becomes(&track, wanted).await;
    }
    let passed = router(&format!("[{{{gone}, {weight}, init: passed}}]"));
    let standing = Tracker::new(&passed, false).standing();
    assert_eq!(standing.priority, Priority::new(200));
}
