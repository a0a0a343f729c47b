//! What is lost or left: addresses that somebody takes away, faults, and what a run before
//! this one has left.

use vrrp::Priority;
use vrrp::fsm::Settings;

use crate::table::{self, check, settings};
use crate::{active, quiet};

#[test]
fn m10_a_lost_address_is_put_back_five_times_a_minute() {
    let rows = "
        400 | lost | acquire, announce | active | 460.9375
        410 | lost | acquire, announce | active | 460.9375
        420 | lost | acquire, announce | active | 460.9375
        430 | lost | acquire, announce | active | 460.9375
        440 | lost | acquire, announce | active | 460.9375
        450 | lost | (AddressLostTooOften), advert 0, release, active>fault addressLost | fault | 60450
        # Nobody reported this fault, so nobody's report ends it; time does.
        500        | recover  | (NoMatter) | fault | 60450
        501        | lost     | (NoMatter) | fault | 60450
        @-0.000001 | deadline | (NoMatter) | fault | 60450
        @          | deadline | fault>backup recovered | backup | 60810.9375
    ";
    active(settings(), rows);
    let rows = "
        400 | lost  | acquire, announce | active | 460.9375
        400 | lost  | acquire, announce | active | 460.9375
        400 | lost  | acquire, announce | active | 460.9375
        400 | lost  | acquire, announce | active | 460.9375
        400 | lost  | acquire, announce | active | 460.9375
        400 | lost  | (AddressLostTooOften), advert 0, release, active>fault addressLost | fault | 60400
        500 | fault | - | fault | -
        600 | recover | fault>backup recovered | backup | 960.9375
    ";
    active(settings(), rows);
}

#[test]
fn m10_losses_a_minute_apart_do_not_count_together() {
    // The sixth loss, on each side of a minute after the first. Adverts every 40 s, so
    // that few rows are between them; the skew is 24.375 s.
    let slow = |last: &str| {
        format!(
            "
            0      | start    | initialize>backup started | backup | 144375
            @      | deadline | advert 100, acquire, announce, backup>active activeDown | active | 144395
            150000 | lost     | acquire, announce | active | 144395
            150001 | lost     | acquire, announce | active | 144395
            150001 | lost     | acquire, announce | active | 144395
            150001 | lost     | acquire, announce | active | 144395
            150001 | lost     | acquire, announce | active | 144395
            184375 | deadline | advert 100, announce | active | 224375
            {last}
        "
        )
    };
    let every = table::interval(vrrp::Version::V3, 40_000);
    let settings = Settings {
        interval: every,
        ..quiet()
    };
    let many = "209999.999999 | lost | (AddressLostTooOften), advert 0, release, active>fault addressLost | fault | 269999.999999";
    check(settings.clone(), &slow(many));
    let few = "210000 | lost | acquire, announce | active | 224375";
    check(settings, &slow(few));
}

#[test]
fn m11_a_fault_releases_and_recovery_listens_anew() {
    let rows = "
        400 | fault             | advert 0, release, active>fault fault | fault | -
        410 | fault             | - | fault | -
        420 | heard .13 200 100 | (NoMatter) | fault | -
        430 | deadline          | (NoMatter) | fault | -
        440 | foreign           | (NoMatter) | fault | -
        450 | start             | (NoMatter) | fault | -
        460 | yield 5           | (NoMatter) | fault | -
        500 | recover           | fault>backup recovered | backup | 860.9375
        501 | recover           | (NoMatter) | backup | 860.9375
        502 | fault             | backup>fault fault | fault | -
        503 | stop              | fault>initialize stopped | initialize | -
    ";
    active(settings(), rows);
    active(settings(), "400 | recover | (NoMatter) | active | 460.9375");
}

#[test]
fn m12_leftover_addresses_stay_while_nobody_else_is_heard() {
    let table = "
        0 | start leftover | initialize>backup started | backup | 360.9375
        @ | deadline       | advert 100, acquire, announce, backup>active activeDown | active | 380.9375
    ";
    check(settings(), table);
}

#[test]
fn m12_leftover_addresses_go_at_the_first_sign_of_another_active() {
    let begin = "0 | start leftover | initialize>backup started | backup | 360.9375";
    let then = [
        "
        50 | heard .13 200 100 | release | backup | 410.9375
        60 | heard .13 200 100 | - | backup | 420.9375
        ",
        "50 | heard .13 99 100 | release, (LowerDiscarded) | backup | 360.9375",
        "50 | foreign          | release | backup | 360.9375",
        "50 | stop             | release, backup>initialize stopped | initialize | -",
        "50 | fault            | release, backup>fault fault | fault | -",
        // A release claims nothing, it makes room.
        "
        50 | heard .13 0 100   | - | backup | 110.9375
        60 | heard .13 200 100 | release | backup | 420.9375
        ",
        // Somebody has done it for us; the rest goes with it, and nothing is renewed.
        "
        50 | lost              | release | backup | 360.9375
        60 | heard .13 200 100 | - | backup | 420.9375
        ",
    ];
    for rows in then {
        check(settings(), &format!("{begin}\n{rows}"));
    }
    let owner = Settings {
        priority: Priority::OWNER,
        ..settings()
    };
    let table = "0 | start leftover | advert 255, acquire, announce, initialize>active started | active | 20";
    check(owner, table);
}
