//! A loop that was late: what may have happened meanwhile, and what it does about that.

use std::time::Duration;

use vrrp::Version;
use vrrp::fsm::{Announcing, Preempt, Settings};

use crate::table::{self, check, settings, settings_v2};

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
