//! What a router is told to do, by its operator, its group or the Active, and who keeps it
//! from acting.

use crate::table::{check, settings, settings_v2};

#[test]
fn w7_a_backup_holds_back_while_a_stranger_advertises_its_addresses() {
    let table = "
        0   | start leftover   | initialize>backup started | backup | 360.9375
        50  | stranger .14 50 100     | release | backup | 410.9375
        150 | stranger .14 50 10      | - | backup | 510.9375
        @   | deadline         | advert 100, acquire, announce, backup>active activeDown | active | 530.9375
    ";
    check(settings(), table);
}

/// One that advertises every second is not silent after 341 ms.
#[test]
fn w7_a_stranger_is_waited_for_as_long_as_its_own_interval_asks() {
    let table = "
        0     | start            | initialize>backup started | backup | 360.9375
        50    | stranger .14 50 1000    | - | backup | 3659.375
        360.9375 | deadline      | (NoMatter) | backup | 3659.375
        1050  | stranger .14 50 1000    | - | backup | 4659.375
        1100  | heard .13 200 100 | - | backup | 4659.375
        1200  | heard .13 0 100  | - | backup | 4659.375
        1300  | stranger .14 50 100     | - | backup | 4659.375
        @     | deadline         | advert 100, acquire, announce, backup>active activeReleased | active | 4679.375
    ";
    check(settings(), table);
    // Of two that are followed, the slower is waited for.
    let table = "
        0     | start             | initialize>backup started | backup | 360.9375
        50    | stranger .14 50 100      | - | backup | 410.9375
        60    | heard .13 200 1000 | (follow 1s) | backup | 3669.375
        70    | stranger .14 50 100      | - | backup | 3679.375
    ";
    check(settings(), table);
}

/// Whoever is heard so soon after a promotion was there before.
#[test]
fn w7_an_active_that_came_second_steps_back_before_a_stranger() {
    let promoted = "
        0        | start         | initialize>backup started | backup | 360.9375
        @        | deadline      | advert 100, acquire, announce, backup>active activeDown | active | 380.9375
        @        | deadline      | announce | active | 460.9375
    ";
    for (rows, settings) in [
        (
            "
        460.9375 | deadline      | advert 100 | active | 560.9375
        500      | stranger .14 50 100  | release, active>backup strangerFirst | backup | 860.9375
        600      | stranger .14 50 1000 | - | backup | 4209.375
        @        | deadline      | advert 100, acquire, announce, backup>active activeDown | active | 4229.375",
            settings(),
        ),
        (
            "
        460.9375 | deadline      | advert 100 | active | 560.9375
        @        | deadline      | advert 100, announce | active | 660.9375
        660.937499 | stranger .14 50 100 | release, active>backup strangerFirst | backup | 1021.874999",
            settings(),
        ),
        (
            "
        460.9375 | deadline      | advert 100 | active | 560.9375
        @        | deadline      | advert 100, announce | active | 660.9375
        660.9375 | stranger .14 50 100  | announce | active | 660.9375
        @        | deadline      | advert 100 | active | 680.9375
        @        | deadline      | announce | active | 760.9375
        722      | stranger .14 50 1000 | release, active>backup strangerFirst | backup | 4331.375",
            settings(),
        ),
    ] {
        check(settings, &format!("{promoted}{rows}"));
    }
    // A faster one that comes a little later has not been there before.
    let table = "
        0        | start         | initialize>backup started | backup | 3609.375
        @        | deadline      | advert 100, acquire, announce, backup>active activeDown | active | 3629.375
        @        | deadline      | announce | active | 3809.375
        @        | deadline      | announce | active | 4609.375
        3910     | stranger .14 50 100  | announce | active | 3930
    ";
    check(settings_v2(), table);
}

/// What is left of its kind, and may be silent, has the longest skew there is: 99.6 ms, and a
/// second in VRRPv2.
#[test]
fn w7_a_stranger_that_gives_the_addresses_up_is_waited_for_no_longer_than_its_backups() {
    let table = "
        0     | start               | initialize>backup started | backup | 360.9375
        1     | stranger .14 0 100  | (NoMatter) | backup | 360.9375
        350   | stranger .14 50 100 | - | backup | 710.9375
        400   | stranger .14 0 100  | - | backup | 560.546875
        @     | deadline            | advert 100, acquire, announce, backup>active activeReleased | active | 580.546875
        561   | stranger .14 0 100  | announce | active | 581
    ";
    check(settings(), table);
    let table = "
        0     | start                   | initialize>backup started | backup | 360.9375
        350   | v2-stranger .14 50 1000 | - | backup | 3959.375
        400   | v2-stranger .14 0 1000  | - | backup | 1457.03125
        1300  | v2-stranger .15 50 1000 | - | backup | 4909.375
    ";
    check(settings(), table);
    // Another is still there, and so is whoever is followed.
    let table = "
        0     | start               | initialize>backup started | backup | 360.9375
        350   | stranger .14 50 100 | - | backup | 710.9375
        380   | stranger .15 50 100 | - | backup | 740.9375
        400   | stranger .14 0 100  | - | backup | 740.9375
        410   | heard .13 200 100   | - | backup | 770.9375
        420   | stranger .15 0 100  | - | backup | 770.9375
        @     | deadline            | advert 100, acquire, announce, backup>active activeDown | active | 790.9375
    ";
    check(settings(), table);
}

/// By the Active before, or by the program before an upgrade: a stranger that was borne there is
/// borne here.
#[test]
fn w7_an_active_that_was_handed_the_addresses_came_first() {
    let table = "
        0  | start               | initialize>backup started | backup | 360.9375
        10 | take                | advert 100, acquire, announce, backup>active handedOver | active | 30
        11 | stranger .14 101 100 | (NoMatter) | active | 30
        12 | stranger .14 50 100  | announce | active | 32
    ";
    check(settings(), table);
}

/// Two that take the addresses in the same moment step back from each other: the one that goes
/// before, by priority and then by address, comes again an interval earlier.
#[test]
fn w7_of_two_strangers_that_came_at_once_the_higher_comes_again_first() {
    for (stranger, deadline) in [
        (".14 100 100", "821.9375"),
        (".11 101 100", "821.9375"),
        (".11 100 100", "721.9375"),
        (".14 99 100", "721.9375"),
    ] {
        let table = format!(
            "
            0   | start     | initialize>backup started | backup | 360.9375
            @   | deadline  | advert 100, acquire, announce, backup>active activeDown | active | 380.9375
            361 | stranger {stranger} | release, active>backup strangerFirst | backup | {deadline}
        "
        );
        check(settings(), &table);
    }
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
