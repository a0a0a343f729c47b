//! What a router is told to do, by its operator, its group or the Active, and who keeps it
//! from acting.

use crate::table::{check, settings};

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
