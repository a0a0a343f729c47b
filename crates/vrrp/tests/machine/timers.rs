//! The timers: when a Backup takes over, and what moves that.

use std::time::Duration;

use vrrp::Priority;
use vrrp::fsm::{Preempt, Settings};

use crate::table::{self, check, settings, settings_v2};

fn with_priority(priority: u8) -> Settings {
    Settings {
        priority: Priority::new(priority),
        ..settings()
    }
}

/// It takes over a second after the first advert of a lower priority.
fn delayed() -> Settings {
    Settings {
        preempt: Preempt::After(Duration::from_millis(1000)),
        ..settings()
    }
}

#[test]
fn t6_m9_the_start_waits_a_full_down_interval() {
    let table = "
        0          | deadline | (NoMatter) | initialize | -
        0          | start    | initialize>backup started | backup | 360.9375
        1          | start    | (NoMatter) | backup | 360.9375
        @-0.000001 | deadline | (NoMatter) | backup | 360.9375
        @          | deadline | advert 100, acquire, announce, backup>active activeDown | active | 380.9375
        @-0.000001 | deadline | - | active | 380.9375
        @          | deadline | announce | active | 460.9375
        400        | start    | (NoMatter) | active | 460.9375
        @-0.000001 | deadline | - | active | 460.9375
        @          | deadline | advert 100 | active | 560.9375
    ";
    check(settings(), table);
    let table = "
        0 | start    | initialize>backup started | backup | 3609.375
        @ | deadline | advert 100, acquire, announce, backup>active activeDown | active | 3629.375
    ";
    check(settings_v2(), table);
}

#[test]
fn t6_the_owner_is_active_at_once() {
    let table = "
        5   | start    | advert 255, acquire, announce, initialize>active started | active | 25
        105 | deadline | advert 255, announce | active | 205
    ";
    check(with_priority(255), table);
}

#[test]
fn priority_zero_is_not_run_with() {
    let table = "
        0  | start      | initialize>backup started | backup | 399.609375
        0  | priority 2 | - | backup | 399.21875
        0  | priority 0 | - | backup | 399.609375
        0  | priority 1 | (NoMatter) | backup | 399.609375
    ";
    check(with_priority(0), table);
}

#[test]
fn t3_a_release_leaves_the_skew() {
    let table = "
        0    | start           | initialize>backup started | backup | 360.9375
        50   | heard .13 200 100 | - | backup | 410.9375
        60   | heard .13 0 100 | - | backup | 120.9375
        @    | deadline        | advert 100, acquire, announce, backup>active activeReleased | active | 140.9375
    ";
    check(settings(), table);
    let table = "
        0    | start              | initialize>backup started | backup | 3609.375
        1000 | heard .13 200 1000 | - | backup | 4609.375
        1500 | heard .13 0 1000   | - | backup | 2109.375
        1600 | heard .14 150 1000 | - | backup | 5209.375
    ";
    check(settings_v2(), table);
}

#[test]
fn t4_a_backup_adopts_the_interval_of_the_active() {
    let table = "
        0    | start              | initialize>backup started | backup | 360.9375
        50   | heard .13 200 1000 | (follow 1s) | backup | 3659.375
        1050 | heard .13 200 1000 | - | backup | 4659.375
        1060 | heard .13 0 1000   | - | backup | 1669.375
        # Its own interval when it is Active.
        @    | deadline           | advert 100, acquire, announce, backup>active activeReleased | active | 1689.375
        @    | deadline           | announce | active | 1769.375
        @    | deadline           | advert 100 | active | 1869.375
        # And the other's again, from the advert that made it yield.
        1800 | heard .13 200 20   | release, active>backup higherPriority | backup | 1872.1875
        1810 | heard .13 200 100  | (follow 100ms) | backup | 2170.9375
    ";
    check(settings(), table);
}

#[test]
fn t5_v2_keeps_its_own_interval() {
    let table = "
        0   | start              | initialize>backup started | backup | 3609.375
        10  | heard .13 200 5000 | - | backup | 3619.375
        @   | deadline           | advert 100, acquire, announce, backup>active activeDown | active | 3639.375
        4000 | heard .13 200 5000 | release, active>backup higherPriority | backup | 7609.375
    ";
    check(settings_v2(), table);
}

#[test]
fn t7_k1_a_priority_change_shifts_the_running_timer() {
    // One step of priority is 0.390625 ms of skew at 100 ms.
    let table = "
        0    | start        | initialize>backup started | backup | 360.9375
        10   | priority 101 | - | backup | 360.546875
        20   | priority 100 | - | backup | 360.9375
        30   | priority 50  | - | backup | 380.46875
        35   | priority 50  | (NoMatter) | backup | 380.46875
        40   | heard .13 200 1000 | (follow 1s) | backup | 3844.6875
        # The skew counts in the interval that is followed.
        50   | priority 100 | - | backup | 3649.375
        60   | heard .13 0 1000 | - | backup | 669.375
        70   | priority 228 | - | backup | 169.375
        # Shifted into the past is due, and not late.
        165  | priority 229 | - | backup | 165.46875
        167  | priority 254 | - | backup | 67.8125
        167  | deadline     | advert 254, acquire, announce, backup>active activeReleased | active | 187
    ";
    check(settings(), table);
    let table = "
        0    | start        | initialize>backup started | backup | 3609.375
        10   | priority 101 | - | backup | 3605.46875
    ";
    check(settings_v2(), table);
}

#[test]
fn k4_an_active_tells_its_new_priority_at_once() {
    let table = "
        0    | start        | initialize>backup started | backup | 360.9375
        @    | deadline     | advert 100, acquire, announce, backup>active activeDown | active | 380.9375
        @    | deadline     | announce | active | 460.9375
        400  | priority 50  | advert 50 | active | 500
        400  | priority 50  | (NoMatter) | active | 500
        # No two closer than 10 ms: a row on each side.
        409.999999 | priority 60 | (AnswerDeferred) | active | 410
        @    | deadline     | advert 60 | active | 510
        420  | priority 70  | advert 70 | active | 520
    ";
    check(settings(), table);
}

#[test]
fn priority_changes_before_the_start_and_in_fault() {
    let table = "
        0  | priority 200 | - | initialize | -
        0  | start        | initialize>backup started | backup | 321.875
        10 | fault        | backup>fault fault | fault | -
        20 | priority 100 | - | fault | -
        30 | recover      | fault>backup recovered | backup | 390.9375
    ";
    check(settings(), table);
}

#[test]
fn t8_a_lower_priority_does_not_restart_the_timer() {
    let table = "
        0   | start            | initialize>backup started | backup | 360.9375
        50  | heard .13 99 100 | (LowerDiscarded) | backup | 360.9375
        60  | heard .11 100 100 | - | backup | 420.9375
        70  | heard .13 101 100 | - | backup | 430.9375
        80  | heard .13 99 100 | (LowerDiscarded) | backup | 430.9375
        @   | deadline         | advert 100, acquire, announce, backup>active preempted | active | 450.9375
    ";
    check(settings(), table);
}

#[test]
fn t9_without_preemption_a_lower_priority_is_followed() {
    let table = "
        0   | start           | initialize>backup started | backup | 360.9375
        50  | heard .13 1 100 | - | backup | 410.9375
        @   | deadline        | advert 100, acquire, announce, backup>active activeDown | active | 430.9375
    ";
    check(
        Settings {
            preempt: Preempt::Never,
            ..settings()
        },
        table,
    );
}

#[test]
fn t9_an_owner_preempts_whatever_is_set() {
    let table = "
        0   | start             | advert 255, acquire, announce, initialize>active started | active | 20
        10  | fault             | advert 0, release, active>fault fault | fault | -
        20  | recover           | advert 255, acquire, announce, fault>active recovered | active | 40
        30  | yield 0           | advert 0, release, active>backup yielded | backup | 330.390625
        40  | heard .13 254 100 | (LowerDiscarded) | backup | 330.390625
    ";
    let never = Settings {
        preempt: Preempt::Never,
        ..with_priority(255)
    };
    check(never, table);
    let delay = Preempt::After(Duration::from_secs(60));
    check(
        Settings {
            preempt: delay,
            ..with_priority(255)
        },
        table,
    );
}

#[test]
fn t9_preempt_delay_follows_a_lower_active_for_so_long() {
    let table = "
        0    | start            | initialize>backup started | backup | 360.9375
        100  | heard .13 50 100 | - | backup | 460.9375
        200  | heard .13 50 100 | - | backup | 560.9375
        1099.999999 | heard .13 50 100 | - | backup | 1460.937499
        1100 | heard .13 50 100 | (LowerDiscarded) | backup | 1460.937499
        @    | deadline         | advert 100, acquire, announce, backup>active preempted | active | 1480.937499
    ";
    check(delayed(), table);
}

#[test]
fn t9_preempt_delay_begins_anew_after_a_higher_advert() {
    let table = "
        0    | start             | initialize>backup started | backup | 360.9375
        100  | heard .13 50 100  | - | backup | 460.9375
        1000 | heard .14 200 100 | - | backup | 1360.9375
        1200 | heard .13 50 100  | - | backup | 1560.9375
        2199 | heard .13 50 100  | - | backup | 2559.9375
        2200 | heard .13 50 100  | (LowerDiscarded) | backup | 2559.9375
    ";
    check(delayed(), table);
    // A lower Active that falls silent is not waited for.
    let table = "
        0    | start             | initialize>backup started | backup | 360.9375
        100  | heard .13 50 100  | - | backup | 460.9375
        @    | deadline          | advert 100, acquire, announce, backup>active activeDown | active | 480.9375
    ";
    check(delayed(), table);
}

/// T10: the machine sees differences only, so no jump of the wall clock reaches it.
#[test]
fn t10_the_same_events_at_another_time_are_the_same() {
    use vrrp::fsm::{Event, Leftover, Router};
    let run = |zero: std::time::Instant| {
        let mut router = Router::new(settings());
        let started = router.handle(
            Event::Start {
                leftover: Leftover::None,
            },
            zero,
        );
        let down = router.deadline().unwrap();
        let promoted = router.handle(Event::Deadline, down);
        (
            started,
            down - zero,
            promoted,
            router.deadline().unwrap() - zero,
        )
    };
    let zero = table::an_instant();
    assert_eq!(run(zero), run(zero + Duration::from_secs(1_000_000_000)));
}
