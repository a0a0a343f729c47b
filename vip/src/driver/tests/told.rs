//! What is told of a router whose check without a weight fails: FAULT, as keepalived does,
//! and its end. What it does meanwhile is that of a Backup.

use super::*;
use crate::sync::{Book, Stance};

const FAULT: Option<Out> = Some(Out::Fault);

#[tokio::test(start_paused = true)]
async fn n3_an_active_whose_check_fails_is_told_at_fault_and_a_backup_when_it_passes() {
    let bench = bench(clear());
    bench.until(400).await;
    let started = ["BACKUP 200", "MASTER 200"].map(|it| format!("INSTANCE \"api\" {it}"));
    assert_eq!(bench.told(), started);
    bench.stands(1, FAULT).await;
    assert_eq!(bench.told(), ["INSTANCE \"api\" FAULT 200"]);
    // The machine goes on as a Backup, which takes over when nobody else does.
    assert_eq!(bench.state(), State::Backup);
    let told = bench.record.borrow().told;
    assert_eq!((told.state, told.reason.name()), (State::Fault, "fault"));
    bench.hears(150).await;
    bench.stands(200, None).await;
    assert_eq!(bench.told(), ["INSTANCE \"api\" BACKUP 200"]);
    let told = bench.record.borrow().told;
    assert_eq!(
        (told.state, told.reason.name()),
        (State::Backup, "recovered")
    );
}

#[tokio::test(start_paused = true)]
async fn n3_a_backup_whose_check_fails_is_told_at_fault_and_its_end() {
    let bench = bench(clear());
    bench.hears(250).await;
    bench.told();
    bench.stands(1, FAULT).await;
    assert_eq!(bench.told(), ["INSTANCE \"api\" FAULT 200"]);
    bench.hears(250).await;
    bench.stands(180, None).await;
    let lines = ["BACKUP_PRIORITY 180", "BACKUP 180"];
    assert_eq!(
        bench.told(),
        lines.map(|it| format!("INSTANCE \"api\" {it}"))
    );
    // A release is no fault, and the priority is what is advertised.
    bench.stands(1, Some(Out::Released)).await;
    assert_eq!(bench.told(), [""; 0]);
    bench.stands(1, FAULT).await;
    assert_eq!(bench.told(), ["INSTANCE \"api\" FAULT 180"]);
}

#[tokio::test(start_paused = true)]
async fn n3_one_that_takes_the_addresses_all_the_same_is_told_as_their_master() {
    let bench = bench(clear());
    bench.until(400).await;
    bench.told();
    bench.stands(1, FAULT).await;
    bench.until(900).await;
    assert_eq!(bench.state(), State::Active);
    let lines = ["FAULT 200", "MASTER 1"].map(|it| format!("INSTANCE \"api\" {it}"));
    assert_eq!(bench.told(), lines);
    // It has them already.
    bench.stands(200, None).await;
    assert_eq!(bench.told(), [""; 0]);
}

#[tokio::test(start_paused = true)]
async fn n3_a_fault_of_link_and_check_is_one_and_ends_with_the_last() {
    let bench = bench(clear());
    bench.hears(250).await;
    bench.told();
    bench.stands(1, FAULT).await;
    assert_eq!(bench.told(), ["INSTANCE \"api\" FAULT 200"]);
    bench.notices(Notice::Link(link(false))).await;
    bench.notices(Notice::Link(link(true))).await;
    assert_eq!(bench.told(), [""; 0]);
    let counts = bench.record.borrow().counts.transitions.clone();
    assert_eq!(counts.get(&("fault", "fault")), Some(&1));
    bench.stands(200, None).await;
    assert_eq!(bench.told(), ["INSTANCE \"api\" BACKUP 200"]);
}

/// A rival of lower priority does not hear us, or has only started; one that gives the
/// addresses up is none.
#[tokio::test(start_paused = true)]
async fn an_active_tells_of_whoever_should_yield_to_it() {
    let bench = bench(clear());
    bench.hears(100).await;
    bench.until(700).await;
    bench.told();
    for (priority, told) in [
        (100, &["INSTANCE \"api\" MASTER_RX_LOWER_PRI 200"][..]),
        (0, &[]),
        (250, &["INSTANCE \"api\" BACKUP 200"]),
        (100, &[]),
    ] {
        bench.hears(priority).await;
        assert_eq!(bench.told(), told, "{priority}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_flood_of_lower_rivals_leaves_room_for_transitions() {
    let bench = bench(clear());
    bench.until(700).await;
    bench.told();
    for _ in 0..2 * MOVES {
        bench.hears(100).await;
    }
    bench.hears(250).await;
    let told = bench.told();
    assert_eq!(told.len(), MOVES / 2 + 1);
    assert_eq!(told[MOVES / 2], "INSTANCE \"api\" BACKUP 200");
    let untold = bench.record.borrow().counts.untold;
    assert_eq!(untold, (2 * MOVES - MOVES / 2) as u64);
}

#[tokio::test(start_paused = true)]
async fn a_priority_that_changes_is_told_with_the_state_it_changes_in() {
    let bench = bench(clear());
    bench.hears(250).await;
    bench.told();
    bench.stands(180, None).await;
    assert_eq!(bench.told(), ["INSTANCE \"api\" BACKUP_PRIORITY 180"]);
    bench.until(900).await;
    bench.told();
    bench.stands(150, None).await;
    assert_eq!(bench.told(), ["INSTANCE \"api\" MASTER_PRIORITY 150"]);
    // What keeps it out changes nothing about that.
    bench.stands(1, Some(Out::Released)).await;
    assert!(!bench.told().iter().any(|line| line.contains("PRIORITY")));
}

/// The file may give it another priority while it stays out.
#[tokio::test(start_paused = true)]
async fn a_fault_is_told_with_the_priority_of_the_file_that_was_read_last() {
    let bench = bench(clear());
    bench.hears(250).await;
    bench.stands(1, Some(Out::Released)).await;
    bench.told();
    bench.standing.send_modify(|standing| {
        standing.able = Priority::new(150);
    });
    settle().await;
    bench.told();
    bench.notices(Notice::Link(link(false))).await;
    assert_eq!(bench.told(), ["INSTANCE \"api\" FAULT 150"]);
}

#[tokio::test(start_paused = true)]
async fn n4_a_failed_check_of_one_is_told_of_its_whole_group() {
    let book = Arc::new(watch::Sender::<Book>::default());
    book.send_modify(|book| book.set_members(&["api".to_owned(), "web".to_owned()]));
    let bench = bench_of(clear(), None, Some(Seat::new("both", "api", &book)));
    let web = |stance| {
        book.send_modify(|book| book.post("web", stance));
        settle()
    };
    let active = Stance {
        state: State::Active,
        ..Stance::ABSENT
    };
    web(active).await;
    bench.until(400).await;
    bench.told();
    web(Stance {
        out: FAULT,
        ..active
    })
    .await;
    let fault = ["INSTANCE \"api\" FAULT 200", "GROUP \"both\" FAULT 0"];
    assert_eq!(bench.told(), fault);
    web(Stance {
        state: State::Backup,
        out: Some(Out::Released),
        ..active
    })
    .await;
    // Somebody's word keeps them out from here on, and no fault.
    assert_eq!(bench.told(), ["INSTANCE \"api\" BACKUP 1"]);
}
