//! The Active and its rivals.

use std::time::Duration;

use vrrp::fsm::{Announcing, Settings};
use vrrp::{Dialects, Priority};

use crate::table::{check, settings, settings_v2};
use crate::{active, quiet};

#[test]
fn m1_a_lower_priority_is_answered_at_once() {
    let rows = "
        400 | heard .13 99 100 | advert 100, announce | active | 420
        @   | deadline         | announce | active | 500
        @   | deadline         | advert 100 | active | 600
        @   | deadline         | advert 100, announce | active | 700
        @   | deadline         | advert 100 | active | 800
    ";
    active(quiet(), rows);
}

#[test]
fn m1_adverts_in_answer_keep_a_distance() {
    let rows = "
        370.937499 | heard .13 99 100 | (AnswerDeferred), announce | active | 370.9375
        @          | deadline         | advert 100 | active | 390.937499
        380.9375   | heard .13 99 100 | advert 100, announce | active | 400.9375
        # The advert that is due sooner anyway is not put off.
        475        | deadline         | announce | active | 480.9375
        479.5      | heard .13 99 100 | advert 100, announce | active | 499.5
    ";
    active(quiet(), rows);
}

#[test]
fn m1_five_answers_in_a_second_then_one_at_its_end() {
    let rows = "
        400 | heard .13 99 100 | advert 100, announce | active | 420
        410 | heard .13 99 100 | advert 100, announce | active | 430
        420 | heard .13 99 100 | advert 100, announce | active | 440
        430 | heard .13 99 100 | advert 100, announce | active | 450
        440 | heard .13 99 100 | advert 100, announce | active | 460
        # The sixth is announced when the window closes, 1 s after the first.
        450 | heard .13 99 100 | advert 100 | active | 460
        @   | deadline         | announce | active | 550
        @   | deadline         | advert 100 | active | 640
        @   | deadline         | announce | active | 650
        @   | deadline         | advert 100 | active | 750
        @   | deadline         | advert 100 | active | 850
        @   | deadline         | advert 100 | active | 950
        @   | deadline         | advert 100 | active | 1050
        @   | deadline         | advert 100 | active | 1150
        @   | deadline         | advert 100 | active | 1250
        @   | deadline         | advert 100 | active | 1350
        @   | deadline         | advert 100 | active | 1400
        # On this side of its end the window is closed, on that side a new one opens.
        1399.999999 | foreign  | - | active | 1419.999999
        1400        | foreign  | announce | active | 1419.999999
        @           | deadline | announce | active | 1420
    ";
    active(quiet(), rows);
}

#[test]
fn m1_v2_by_the_letter_discards_and_as_keepalived_answers() {
    let begin = "
        0 | start    | initialize>backup started | backup | 3609.375
        @ | deadline | advert 100, acquire, announce, backup>active activeDown | active | 3629.375
    ";
    let letter = Settings {
        dialects: Dialects::RFC,
        ..settings_v2()
    };
    let rows = "
        4000 | heard .13 99 1000 | (LowerDiscarded) | active | 3629.375
        4100 | heard .13 0 1000  | advert 100, announce | active | 4120
    ";
    check(letter, &format!("{begin}\n{rows}"));
    let rows = "4000 | heard .13 99 1000 | advert 100, announce | active | 4020";
    check(settings_v2(), &format!("{begin}\n{rows}"));
}

#[test]
fn m2_m3_equal_priorities_are_decided_by_address() {
    let rows = "400 | heard .11 100 100 | advert 100, announce | active | 420";
    active(quiet(), rows);
    let rows = "400 | heard .13 100 100 | release, active>backup higherAddress | backup | 760.9375";
    active(quiet(), rows);
}

#[test]
fn m4_a_higher_priority_is_given_way_in_the_same_step() {
    let rows = "400 | heard .11 101 100 | release, active>backup higherPriority | backup | 760.9375";
    active(quiet(), rows);
    let rows = "400 | heard .13 99 100 | advert 100, announce | active | 420";
    active(quiet(), rows);
}

#[test]
fn m5_a_release_heard_by_the_active_is_answered() {
    let rows = "400 | heard .13 0 100 | advert 100, announce | active | 420";
    active(quiet(), rows);
}

#[test]
fn m6_our_own_address_as_sender_decides_nothing() {
    let rows = "
        400 | heard .12 100 100 | (OwnSource) | active | 460.9375
        401 | heard .12 200 100 | (OwnSource) | active | 460.9375
        402 | heard .12 0 100   | (OwnSource) | active | 460.9375
    ";
    active(quiet(), rows);
    let table = "
        0  | start             | initialize>backup started | backup | 360.9375
        10 | heard .12 200 100 | (OwnSource) | backup | 360.9375
    ";
    check(settings(), table);
}

#[test]
fn m7_two_owners_are_decided_by_address_and_named() {
    let owner = Settings {
        priority: Priority::OWNER,
        ..quiet()
    };
    let table = "
        0   | start             | advert 255, acquire, announce, initialize>active started | active | 20
        50  | heard .11 255 100 | (TwoOwners), advert 255, announce | active | 70
        60  | heard .13 254 100 | advert 255, announce | active | 80
        60  | heard .13 255 100 | (TwoOwners), release, active>backup higherAddress | backup | 360.390625
        70  | heard .13 255 100 | (TwoOwners) | backup | 370.390625
        80  | heard .13 254 100 | (LowerDiscarded) | backup | 370.390625
    ";
    check(owner, table);
    // One owner and its opposite numbers are no conflict.
    let rows = "400 | heard .13 255 100 | release, active>backup higherPriority | backup | 760.9375";
    active(quiet(), rows);
    let table = "
        0  | start             | initialize>backup started | backup | 360.9375
        10 | heard .13 255 100 | - | backup | 370.9375
    ";
    check(settings(), table);
}

#[test]
fn m8_a_stop_releases_and_is_final() {
    let rows = "
        400 | stop              | advert 0, release, active>initialize stopped | initialize | -
        401 | stop              | (NoMatter) | initialize | -
        402 | heard .13 50 100  | (NoMatter) | initialize | -
        403 | fault             | (NoMatter) | initialize | -
        404 | recover           | (NoMatter) | initialize | -
        405 | foreign           | (NoMatter) | initialize | -
        406 | lost              | (NoMatter) | initialize | -
        407 | yield 10          | (NoMatter) | initialize | -
        500 | start             | initialize>backup started | backup | 860.9375
        501 | stop              | backup>initialize stopped | initialize | -
    ";
    active(settings(), rows);
}

#[test]
fn m9_a_second_burst_follows_then_a_refresh_if_wanted() {
    let millis = |n| Some(Duration::from_millis(n));
    let rows = "
        @          | deadline | advert 100 | active | 510.9375
        @-0.000001 | deadline | - | active | 510.9375
        @          | deadline | announce | active | 560.9375
        @          | deadline | advert 100, announce | active | 660.9375
        @          | deadline | advert 100 | active | 760.9375
    ";
    let second = Announcing {
        second: millis(150),
        refresh: None,
    };
    active(
        Settings {
            announcing: second,
            ..settings()
        },
        rows,
    );
    let rows = "
        @ | deadline | advert 100 | active | 510.9375
        @ | deadline | announce | active | 560.9375
        @ | deadline | advert 100, announce | active | 580.9375
        @ | deadline | announce | active | 650.9375
        @ | deadline | announce | active | 660.9375
    ";
    let refresh = Announcing {
        second: millis(150),
        refresh: millis(70),
    };
    active(
        Settings {
            announcing: refresh,
            ..settings()
        },
        rows,
    );
    let rows = "
        @ | deadline | advert 100 | active | 510.9375
        @ | deadline | announce | active | 560.9375
        @ | deadline | advert 100, announce | active | 660.9375
        @ | deadline | advert 100, announce | active | 760.9375
    ";
    let only = Announcing {
        second: None,
        refresh: millis(150),
    };
    active(
        Settings {
            announcing: only,
            ..settings()
        },
        rows,
    );
}

#[test]
fn m13_the_winner_announces_after_the_loser() {
    let rows = "
        362        | heard .13 99 100 | (AnswerDeferred), announce | active | 370.9375
        @          | deadline         | advert 100 | active | 382
        @-0.000001 | deadline         | - | active | 382
        @          | deadline         | announce | active | 470.9375
        @          | deadline         | advert 100 | active | 562
        @          | deadline         | announce | active | 570.9375
        @          | deadline         | advert 100 | active | 670.9375
    ";
    active(quiet(), rows);
}

#[test]
fn m13_the_loser_sends_nothing_more() {
    let rows = "
        362 | heard .11 99 100  | (AnswerDeferred), announce | active | 370.9375
        363 | heard .13 200 100 | release, active>backup higherPriority | backup | 723.9375
        371 | deadline          | (NoMatter) | backup | 723.9375
        382 | deadline          | (NoMatter) | backup | 723.9375
        400 | foreign           | - | backup | 723.9375
    ";
    active(settings(), rows);
}

#[test]
fn another_holder_on_the_wire_is_contradicted() {
    let rows = "
        400 | foreign  | announce | active | 420
        @   | deadline | announce | active | 460.9375
        @   | deadline | advert 100 | active | 560.9375
        @   | deadline | advert 100 | active | 600
        @   | deadline | announce | active | 660.9375
    ";
    active(quiet(), rows);
}
