//! The tracker and its checks together.

use vrrp::Priority;

use super::*;
use crate::ask::Board;
use crate::config::{Config, Router};
use crate::upgrade::{Found, Was};

const CONFIG: &str = "apiVersion: sternpost/v1\nkind: VipDaemon\nrouters:\n\
    - {name: api, interface: eth0, vrid: 51, priority: 200, addresses: [10.55.0.100], \
    track: TRACKS}\n";

fn router(tracks: &str) -> Router {
    let text = CONFIG.replace("TRACKS", tracks);
    Config::parse("test", &text).unwrap().routers.remove(0)
}

fn check(port: u16, weight: i32) -> String {
    format!(
        "{{tcp: {{address: '127.0.0.1:{port}'}}, weight: {weight}, fall: 1, rise: 1}}"
    )
}

fn now(tracker: &Tracker) -> (u8, Option<Out>) {
    let standing = tracker.standing();
    (standing.priority.get(), standing.out)
}

#[test]
fn a_new_check_moves_nothing_before_it_has_a_verdict() {
    let before = router(&format!("[{}]", check(1, -50)));
    let after = router(&format!("[{}, {}]", check(2, 0), check(1, -50)));
    let tracker = Tracker::new(&before, false);
    assert_eq!(now(&tracker), (150, None));
    tracker.judge(0, true);
    assert_eq!(now(&tracker), (200, None));
    tracker.reconfigure(&before, &after);
    assert_eq!(now(&tracker), (200, None));
    tracker.judge(0, false);
    assert_eq!(now(&tracker), (1, Some(Out::Fault)));
    tracker.judge(0, true);
    assert_eq!(now(&tracker), (200, None));
}

#[test]
fn another_priority_is_known_while_a_check_keeps_the_router_out() {
    let before = router(&format!("[{}]", check(1, 0)));
    let mut after = before.clone();
    after.priority = Priority::new(150);
    let tracker = Tracker::new(&before, false);
    tracker.judge(0, false);
    assert_eq!(tracker.standing().able, Priority::new(200));
    tracker.reconfigure(&before, &after);
    assert_eq!(now(&tracker), (1, Some(Out::Fault)));
    assert_eq!(tracker.standing().able, Priority::new(150));
}

/// A file that says `init: passed`, as every imported one does, changes nothing about that:
/// the check failed, and has no other result yet.
#[test]
fn what_counts_before_a_result_gives_no_priority_back() {
    let track = |port: u16, more: &str| {
        format!(
            "[{{tcp: {{address: '127.0.0.1:{port}'}}, weight: -50, init: passed, \
             fall: 2{more}}}]"
        )
    };
    let before = router(&track(1, ""));
    let tracker = Tracker::new(&before, false);
    assert_eq!(now(&tracker), (200, None));
    tracker.judge(0, false);
    assert_eq!(now(&tracker), (150, None));
    // The same question under another limit keeps its verdict.
    let after = router(&track(1, ", timeout: 3s"));
    tracker.reconfigure(&before, &after);
    assert_eq!(now(&tracker), (150, None));
    // Another question has none: what held goes on.
    let other = router(&track(2, ""));
    tracker.reconfigure(&after, &other);
    assert_eq!(now(&tracker), (150, None));
    tracker.judge(0, true);
    assert_eq!(now(&tracker), (200, None));
}

#[test]
fn one_failure_after_a_reload_is_one_failure() {
    let tracks = |more: &str| {
        format!("[{{tcp: {{address: '127.0.0.1:1'}}, weight: 0, fall: 3{more}}}]")
    };
    let before = router(&tracks(""));
    let tracker = Tracker::new(&before, false);
    tracker.judge(0, true);
    tracker.judge(0, false);
    let after = router(&tracks(", interval: 5s"));
    tracker.reconfigure(&before, &after);
    tracker.judge(0, false);
    assert_eq!(now(&tracker), (200, None));
    tracker.judge(0, false);
    assert_eq!(now(&tracker), (1, Some(Out::Fault)));
}

#[test]
fn a_new_program_goes_on_with_what_the_old_one_had() {
    let router = router("[{tcp: {address: '127.0.0.1:1'}, weight: -50, init: passed}]");
    let old = Tracker::new(&router, false);
    assert_eq!(
        old.found(&router),
        [],
        "what counts before a result is none"
    );
    let was = |released, priority, checks: &[bool]| Was {
        active: true,
        released,
        priority,
        state: "active".to_owned(),
        out: None,
        checks: checks
            .iter()
            .map(|passed| Found {
                check: router.tracks[0].target.name(),
                passed: *passed,
            })
            .collect(),
    };
    // Without a verdict, and with each.
    for (checks, result, first, second) in [
        (&[][..], false, 150, 150),
        (&[], true, 200, 200),
        (&[true], false, 200, 150),
        (&[false], true, 150, 200),
    ] {
        let tracker = Tracker::new(&router, false);
        tracker.resume(&router, &was(false, 150, checks));
        assert_eq!(now(&tracker), (150, None), "{checks:?}");
        tracker.judge(0, result);
        assert_eq!(now(&tracker), (first, None), "{checks:?}");
        tracker.judge(0, result);
        assert_eq!(now(&tracker), (second, None), "{checks:?}");
        let found = was(false, 150, &[result]).checks;
        assert_eq!(tracker.found(&router), found);
    }
    let tracker = Tracker::new(&router, false);
    tracker.resume(&router, &was(true, 1, &[]));
    assert_eq!(now(&tracker), (1, Some(Out::Released)));
    // At fault it stays until the check has said otherwise.
    let tracker = Tracker::new(&router, false);
    let fault = Was {
        out: Some("fault".to_owned()),
        ..was(false, 1, &[])
    };
    tracker.resume(&router, &fault);
    assert_eq!(now(&tracker), (1, Some(Out::Fault)));
    tracker.judge(0, true);
    assert_eq!(now(&tracker), (200, None));
}

#[test]
fn a_check_and_its_opposite_keep_each_its_own_verdict() {
    let tcp = "tcp: {address: '127.0.0.1:1'}";
    let tracks =
        format!("[{{{tcp}, weight: -50}}, {{{tcp}, weight: -20, reverse: true}}]");
    let router = router(&tracks);
    let old = Tracker::new(&router, false);
    old.judge(0, true);
    old.judge(1, false);
    let new = Tracker::new(&router, false);
    let (priority, _) = now(&old);
    let was = Was {
        active: true,
        released: false,
        priority,
        state: "active".to_owned(),
        out: None,
        checks: old.found(&router),
    };
    new.resume(&router, &was);
    assert_eq!(new.found(&router), old.found(&router));
    new.judge(0, true);
    new.judge(1, false);
    assert_eq!(now(&new), (priority, None));
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
