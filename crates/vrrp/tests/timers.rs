//! The machine's timers: T4 to T11 and K1 of the conformance cases, with a row on each
//! side of every comparison (T1 to T3 are beside `fsm::timers`, T5 is with the codec).
#![cfg(test)]

mod table;

use std::time::Duration;

use table::{check, settings, settings_v2};
use vrrp::fsm::{Announcing, Preempt, Settings};
use vrrp::{Priority, Version};

fn with_priority(priority: u8) -> Settings {
    Settings {
        priority: Priority::new(priority),
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
fn w7_a_backup_holds_back_while_a_stranger_advertises_its_addresses() {
    let table = "
        0   | start leftover   | initialize>backup started | backup | 360.9375
        50  | stranger         | release | backup | 410.9375
        150 | stranger         | - | backup | 510.9375
        @   | deadline         | advert 100, acquire, announce, backup>active activeDown | active | 530.9375
        515 | stranger         | (NoMatter) | active | 530.9375
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
    let delayed = Preempt::After(Duration::from_millis(1000));
    let table = "
        0    | start            | initialize>backup started | backup | 360.9375
        100  | heard .13 50 100 | - | backup | 460.9375
        200  | heard .13 50 100 | - | backup | 560.9375
        1099.999999 | heard .13 50 100 | - | backup | 1460.937499
        1100 | heard .13 50 100 | (LowerDiscarded) | backup | 1460.937499
        @    | deadline         | advert 100, acquire, announce, backup>active preempted | active | 1480.937499
    ";
    check(
        Settings {
            preempt: delayed,
            ..settings()
        },
        table,
    );
}

#[test]
fn t9_preempt_delay_begins_anew_after_a_higher_advert() {
    let delayed = Preempt::After(Duration::from_millis(1000));
    let table = "
        0    | start             | initialize>backup started | backup | 360.9375
        100  | heard .13 50 100  | - | backup | 460.9375
        1000 | heard .14 200 100 | - | backup | 1360.9375
        1200 | heard .13 50 100  | - | backup | 1560.9375
        2199 | heard .13 50 100  | - | backup | 2559.9375
        2200 | heard .13 50 100  | (LowerDiscarded) | backup | 2559.9375
    ";
    check(
        Settings {
            preempt: delayed,
            ..settings()
        },
        table,
    );
    // A lower Active that falls silent is not waited for.
    let table = "
        0    | start             | initialize>backup started | backup | 360.9375
        100  | heard .13 50 100  | - | backup | 460.9375
        @    | deadline          | advert 100, acquire, announce, backup>active activeDown | active | 480.9375
    ";
    check(
        Settings {
            preempt: delayed,
            ..settings()
        },
        table,
    );
}

#[test]
fn t11_an_active_that_was_overtaken_releases_before_it_speaks() {
    // Last advert at 360.9375, overtaken a down interval later.
    let begin = "
        0          | start    | initialize>backup started | backup | 360.9375
        @          | deadline | advert 100, acquire, announce, backup>active activeDown | active | 380.9375
    ";
    let rows = "721.874999 | deadline | advert 100, announce | active | 821.874999";
    check(settings(), &format!("{begin}{rows}"));
    let rows = "
        721.875    | deadline | (late 260), release, active>backup late, (NoMatter) | backup | 882.8125
        # Nobody there: back after an interval and the skew.
        @          | deadline | advert 100, acquire, announce, backup>active nobodyElse | active | 902.8125
    ";
    check(settings(), &format!("{begin}{rows}"));
    let table = "
        0          | start    | initialize>backup started | backup | 3609.375
        @          | deadline | advert 100, acquire, announce, backup>active activeDown | active | 3629.375
        7218.749999 | priority 99 | advert 99 | active | 3629.375
        10832.031248 | deadline | advert 99, announce | active | 11832.031248
        14445.312498 | deadline | (late 2613), release, active>backup late, (NoMatter) | backup | 16058.593748
    ";
    check(settings_v2(), table);
}

/// It has read its sockets dry, and nobody was there: nobody has taken over.
#[test]
fn t11_a_late_active_that_heard_nobody_stays() {
    let settings = Settings {
        patience: Duration::from_millis(750),
        ..settings()
    };
    let begin = "
        0          | start    | initialize>backup started | backup | 360.9375
        @          | deadline | advert 100, acquire, announce, backup>active activeDown | active | 380.9375
    ";
    // Its first advert was at 360.9375, the next one was due at 460.9375.
    let then = [
        "721.875     | deadline | (late 260), advert 100, announce | active | 741.875",
        "1210.937499 | deadline | (late 749), advert 100, announce | active | 1230.937499",
        "1210.9375   | deadline | (late 750), release, active>backup late, (NoMatter) | backup | 1371.875",
        // Whoever was heard has taken over; who lost its addresses has nothing to claim.
        "721.875     | heard .13 50 100 | (late 260), release, active>backup late, (LowerDiscarded) | backup | 882.8125",
        "721.875     | lost | (late 260), release, active>backup late | backup | 882.8125",
    ];
    for row in then {
        check(settings.clone(), &format!("{begin}\n{row}"));
    }
}

/// Another may have been Active while it was silent, and may have announced last.
#[test]
fn t11_a_late_active_that_stays_announces_again() {
    let settings = Settings {
        patience: Duration::from_millis(750),
        announcing: Announcing {
            second: None,
            refresh: None,
        },
        ..settings()
    };
    let table = "
        0          | start    | initialize>backup started | backup | 360.9375
        @          | deadline | advert 100, acquire, announce, backup>active activeDown | active | 380.9375
        561        | deadline | advert 100, announce | active | 661
        # Long after what follows a promotion.
        @          | deadline | advert 100 | active | 761
        1100       | deadline | (late 339), advert 100, announce | active | 1120
        @          | deadline | announce | active | 1200
        1300       | deadline | advert 100, announce | active | 1400
        @          | deadline | advert 100 | active | 1500
    ";
    check(settings, table);
}

/// A loop that is late again and again floods nobody.
#[test]
fn t11_doubts_are_answered_five_times_a_second() {
    let settings = Settings {
        patience: Duration::from_millis(750),
        interval: table::interval(Version::V3, 10),
        announcing: Announcing {
            second: None,
            refresh: None,
        },
        ..settings()
    };
    let table = "
        0        | start    | initialize>backup started | backup | 36.09375
        @        | deadline | advert 100, acquire, announce, backup>active activeDown | active | 46.09375
        1000     | deadline | (late 953), release, active>backup late, (NoMatter) | backup | 1016.09375
        @        | deadline | advert 100, acquire, announce, backup>active nobodyElse | active | 1026.09375
        1100     | deadline | (late 73), advert 100, announce | active | 1110
        1200     | deadline | (late 90), advert 100, announce | active | 1210
        1300     | deadline | (late 90), advert 100, announce | active | 1310
        1400     | deadline | (late 90), advert 100, announce | active | 1410
        1500     | deadline | (late 90), advert 100, announce | active | 1510
        # What is left of the fifth.
        1701     | deadline | (late 191), advert 100, announce | active | 1711
        1801     | deadline | (late 90), advert 100 | active | 1811
        2100     | deadline | (late 289), advert 100, announce | active | 2110
    ";
    check(settings, table);
}

#[test]
fn t11_without_preemption_a_higher_router_may_have_been_waiting() {
    let begin = "
        0          | start    | initialize>backup started | backup | 360.9375
        @          | deadline | advert 100, acquire, announce, backup>active activeDown | active | 380.9375
    ";
    let in_time = "661.328124 | deadline | advert 100, announce | active | 761.328124";
    let late = "661.328125 | deadline | (late 200), release, active>backup late, (NoMatter) | backup | 822.265625";
    for preempt in [Preempt::Never, Preempt::After(Duration::from_secs(1))] {
        let settings = Settings {
            preempt,
            ..settings()
        };
        check(settings.clone(), &format!("{begin}{in_time}"));
        check(settings, &format!("{begin}{late}"));
    }
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

#[test]
fn t11_whatever_wakes_a_late_active_it_releases_first() {
    let begin = "
        0    | start    | initialize>backup started | backup | 360.9375
        @    | deadline | advert 100, acquire, announce, backup>active activeDown | active | 380.9375
    ";
    let then = [
        "1000 | heard .13 200 100 | (late 539), release, active>backup late | backup | 1360.9375",
        // RFC 9568 would have an Active answer this one.
        "1000 | heard .13 50 100  | (late 539), release, active>backup late, (LowerDiscarded) | backup | 1160.9375",
        "1000 | heard .13 0 100   | (late 539), release, active>backup late | backup | 1060.9375",
        "1000 | foreign           | (late 539), release, active>backup late | backup | 1160.9375",
        "1000 | lost              | (late 539), release, active>backup late | backup | 1160.9375",
        // No priority 0: the Backups of whoever has taken over would believe it.
        "1000 | stop  | (late 539), release, active>backup late, backup>initialize stopped | initialize | -",
        "1000 | fault | (late 539), release, active>backup late, backup>fault fault | fault | -",
    ];
    for row in then {
        check(settings(), &format!("{begin}\n{row}"));
    }
}

#[test]
fn t11_a_backup_that_is_an_interval_late_listens_first() {
    let table = "
        0          | start    | initialize>backup started | backup | 360.9375
        460.937499 | deadline | advert 100, acquire, announce, backup>active activeDown | active | 480.937499
    ";
    check(settings(), table);
    let table = "
        0        | start    | initialize>backup started | backup | 360.9375
        460.9375 | deadline | (late 100) | backup | 621.875
        # Once: a loop that is always late must not wait for ever.
        800      | deadline | advert 100, acquire, announce, backup>active nobodyElse | active | 820
    ";
    check(settings(), table);
    let table = "
        0        | start    | initialize>backup started | backup | 360.9375
        460.9375 | deadline | (late 100) | backup | 621.875
        # The Active lives.
        500      | heard .13 200 100 | - | backup | 860.9375
        960.9375 | deadline | (late 100) | backup | 1121.875
    ";
    check(settings(), table);
}

#[test]
fn lateness_does_not_add_up() {
    let table = "
        0    | start    | initialize>backup started | backup | 360.9375
        @    | deadline | advert 100, acquire, announce, backup>active activeDown | active | 380.9375
        470  | deadline | advert 100, announce | active | 560.9375
        # A whole interval late: counted from here.
        660.937499 | deadline | advert 100, announce | active | 660.9375
        @    | deadline | advert 100 | active | 760.9375
        860.9375   | deadline | advert 100 | active | 960.9375
    ";
    check(settings(), table);
}

#[test]
fn yield_leaves_a_lower_active_alone_for_so_long() {
    let table = "
        0    | start            | initialize>backup started | backup | 360.9375
        @    | deadline         | advert 100, acquire, announce, backup>active activeDown | active | 380.9375
        400  | yield 1000       | advert 0, release, active>backup yielded | backup | 760.9375
        500  | heard .13 50 100 | - | backup | 860.9375
        1399.999999 | heard .13 50 100 | - | backup | 1760.937499
        1400 | heard .13 50 100 | (LowerDiscarded) | backup | 1760.937499
    ";
    check(settings(), table);
    // Nobody takes it: better here than nowhere.
    let table = "
        0    | start            | initialize>backup started | backup | 360.9375
        10   | yield 60000      | - | backup | 360.9375
        @    | deadline         | advert 100, acquire, announce, backup>active activeDown | active | 380.9375
    ";
    check(settings(), table);
    // A Backup leaves a lower Active alone, too; a higher one it follows anyway.
    let table = "
        0    | start             | initialize>backup started | backup | 360.9375
        10   | yield 1000        | - | backup | 360.9375
        20   | heard .13 50 100  | - | backup | 380.9375
        30   | heard .14 200 100 | - | backup | 390.9375
        1009.999999 | heard .13 50 100 | - | backup | 1370.937499
        1010 | heard .13 50 100  | (LowerDiscarded) | backup | 1370.937499
    ";
    check(settings(), table);
}

#[test]
fn rise_makes_a_backup_active_and_fall_an_active_a_backup() {
    let table = "
        0   | rise              | (NoMatter) | initialize | -
        0   | start             | initialize>backup started | backup | 360.9375
        1   | fall              | (NoMatter) | backup | 360.9375
        10  | rise              | advert 100, acquire, announce, backup>active together | active | 30
        11  | rise              | (NoMatter) | active | 30
        12  | fall              | advert 0, release, active>backup together | backup | 372.9375
        13  | fault             | backup>fault fault | fault | -
        14  | rise              | (NoMatter) | fault | -
        15  | fall              | (NoMatter) | fault | -
    ";
    check(settings(), table);
}

#[test]
fn take_makes_a_backup_active_at_once_and_nobody_else() {
    let table = "
        0   | take              | (NoMatter) | initialize | -
        0   | start             | initialize>backup started | backup | 360.9375
        10  | heard .9 200 100  | - | backup | 370.9375
        20  | heard .9 0 100    | - | backup | 80.9375
        21  | take              | advert 100, acquire, announce, backup>active handedOver | active | 41
        22  | take              | (NoMatter) | active | 41
        23  | fault             | advert 0, release, active>fault fault | fault | -
        24  | take              | (NoMatter) | fault | -
    ";
    check(settings(), table);
}
