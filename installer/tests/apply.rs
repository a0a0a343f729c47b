//! Applying below a root of its own: real files with their owners, recorded services. Each
//! way of breaking off ends in the same place, and a second time there is nothing to do.
//!
//! Leaves to others: systemd itself, the way over SSH, and what the components do.

#![expect(clippy::indexing_slicing, reason = "tests")]

use std::collections::BTreeSet;
use std::fs;
use std::ops::ControlFlow;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::Path;
use std::time::{Duration, SystemTime};

use lab::requirement::{Requirement, trial};
use libtest_mimic::{Arguments, Failed};
use sternpost::agent::{Agent, Answer, Order};
use sternpost::apply::{ApplyError, Material, Target, Transport};
use sternpost::plan::{Plan, Step, show};
use sternpost::resource::Resource;
use sternpost::spec;
use tempfile::TempDir;

#[path = "apply/authorities.rs"]
mod authorities;
#[path = "apply/back.rs"]
mod back;
#[path = "apply/elsewhere.rs"]
mod elsewhere;
#[path = "apply/killed.rs"]
mod killed;
#[path = "apply/leave.rs"]
mod leave;
#[path = "apply/less.rs"]
mod less;
#[path = "apply/process.rs"]
mod process;
#[path = "apply/settled.rs"]
mod settled;
#[path = "apply/units.rs"]
mod units;
#[path = "apply/world.rs"]
mod world;

use world::{FOREVER, Wire, World};

type Tried<T = ()> = Result<T, Failed>;
type Test = fn() -> Tried;

const TESTS: [(&str, Test); 31] = [
    (
        "a_bare_host_gets_it_all_and_a_second_time_nothing",
        everything,
    ),
    (
        "broken_off_at_every_step_it_ends_in_the_same_place",
        broken_off,
    ),
    (
        "an_agent_killed_at_any_moment_is_gone_on_from",
        killed::at_any_moment,
    ),
    ("keys_are_their_users_alone", private),
    ("a_program_of_another_checksum_is_refused", damaged),
    ("a_unit_that_does_not_come_up_says_why", units::not_up),
    ("a_unit_that_does_not_stay_up_says_why", units::not_steady),
    (
        "a_unit_that_refuses_a_flag_gets_back_what_it_read_before",
        back::flag,
    ),
    (
        "a_unit_that_refuses_its_program_gets_back_the_one_before",
        back::program,
    ),
    (
        "what_was_before_comes_back_wherever_a_run_was_broken_off",
        back::broken_off,
    ),
    (
        "an_upgrade_that_fails_leaves_no_other_program_to_the_next_boot",
        back::others,
    ),
    (
        "containerd_has_its_shim_runc_and_ctr_back_with_it",
        back::beside,
    ),
    (
        "what_was_noted_as_put_back_and_is_not_is_begun_by",
        back::half_undone,
    ),
    (
        "a_copy_lasts_no_longer_than_until_its_unit_is_up",
        back::stopped,
    ),
    (
        "what_a_unit_ran_by_last_comes_back_and_not_what_was_before",
        back::outdated,
    ),
    ("what_the_masters_keep_is_taken_up", taken_up),
    (
        "the_token_of_the_day_is_for_newcomers_alone",
        token_of_the_day,
    ),
    (
        "what_the_description_has_no_more_is_taken_off",
        less::taken_off,
    ),
    (
        "what_is_taken_off_and_broken_off_is_gone_on_with",
        less::broken_off,
    ),
    (
        "a_kubelet_of_another_cluster_is_led_away_from_it",
        elsewhere::led_away,
    ),
    (
        "what_another_kubelet_renews_meanwhile_is_not_taken_away",
        elsewhere::changed,
    ),
    ("a_kernel_setting_alone_is_set_at_once", settled::alone),
    (
        "reset_leaves_nothing_of_ours_and_all_of_others",
        leave::whole,
    ),
    ("what_has_become_anothers_is_named_and_stays", leave::others),
    ("what_stood_there_is_kept_and_put_back", leave::put_back),
    ("a_unit_of_others_comes_back_as_it_was", leave::brought_back),
    (
        "a_reset_that_is_broken_off_is_gone_on_with",
        leave::broken_off,
    ),
    (
        "authorities_that_are_there_are_taken_over",
        authorities::taken_over,
    ),
    (
        "what_cannot_be_taken_over_is_named_with_its_line",
        authorities::refused,
    ),
    (
        "what_an_external_authority_has_signed_is_laid_down",
        authorities::external,
    ),
    (
        "every_certificate_of_either_kind_of_key_is_good_to_openssl",
        authorities::kinds,
    ),
];

fn main() {
    let needs = [Requirement::Root, Requirement::Openssl];
    let trials = TESTS.map(|(name, test)| trial(name, &needs, test));
    libtest_mimic::run(&Arguments::from_args(), trials.into()).exit();
}

fn everything() -> Tried {
    let mut world = World::new()?;
    let material = Material::new(world.now)?;
    let first = world.apply(&material, FOREVER)?;
    if first.steps.len() < 50 {
        return Err(format!("only {}", show(&first)).into());
    }
    let second = world.apply(&material, FOREVER)?;
    let nothing: &[Step] = &[];
    if second.steps != nothing {
        return Err(show(&second).into());
    }
    let starts = world
        .services
        .calls
        .iter()
        .filter(|call| call.starts_with("start"));
    let order: Vec<_> = starts.map(String::as_str).collect();
    if order.first() != Some(&"start etcd.service") {
        return Err(format!("{order:?}").into());
    }
    if world.services.calls[0] != "settle" {
        return Err("a file was given to a user before there was one".into());
    }
    // Three quarters of a certificate's life later some are issued anew, and then again nothing.
    world.now += pki::LEAF_LIFETIME * 3 / 4;
    let renewed = world.apply(&material, FOREVER)?;
    let issued = renewed
        .steps
        .iter()
        .filter(|step| matches!(step, Step::Issue { .. }))
        .count();
    let again = world.apply(&material, FOREVER)?;
    if issued < 8 || again.steps != nothing {
        return Err(format!("{issued} issued, then\n{}", show(&again)).into());
    }
    Ok(())
}

fn broken_off() -> Tried {
    let mut whole = World::new()?;
    let material = Material::new(whole.now)?;
    whole.apply(&material, FOREVER)?;
    let wanted = whole.listing()?;
    let mut cut = 0;
    for orders in 1..FOREVER {
        let mut world = World::new()?;
        // The same names below another folder: the programs' links lead below their own root.
        let finished = world.apply(&material, orders).is_ok();
        world.apply(&material, FOREVER)?;
        let last = world.apply(&material, FOREVER)?;
        if !last.steps.is_empty() {
            return Err(
                format!("after {orders} orders there remains\n{}", show(&last)).into(),
            );
        }
        let here = world.listing()?;
        if here != wanted {
            let odd: Vec<_> = here.symmetric_difference(&wanted).take(4).collect();
            return Err(format!("after {orders} orders: {odd:?}").into());
        }
        if finished {
            break;
        }
        cut += 1;
    }
    if cut < 60 {
        return Err(format!("cut only {cut} times").into());
    }
    Ok(())
}

fn private() -> Tried {
    let mut world = World::new()?;
    let material = Material::new(world.now)?;
    world.apply(&material, FOREVER)?;
    let mut keys = 0;
    for (path, owner) in [
        ("etc/kubernetes/pki/ca.key", 302),
        ("etc/kubernetes/pki/sa.key", 302),
        ("etc/kubernetes/encryption.yaml", 302),
        ("etc/kubernetes/pki/apiserver.key", 302),
        ("etc/kubernetes/pki/etcd/server.key", 301),
        ("etc/kubernetes/pki/bootstrap-signer.key", 303),
        ("var/lib/sternpost/journal.jsonl", 0),
    ] {
        let about = fs::metadata(world.root().join(path))?;
        let found = (about.permissions().mode() & 0o7777, about.uid());
        if found != (0o600, owner) {
            return Err(format!("{path}: {found:?}").into());
        }
        keys += 1;
    }
    let journal =
        fs::read_to_string(world.root().join("var/lib/sternpost/journal.jsonl"))?;
    if keys != 7
        || journal.contains("PRIVATE")
        || !journal.contains("/etc/kubernetes/pki/ca.key")
    {
        return Err(journal.into());
    }
    Ok(())
}

fn damaged() -> Tried {
    let mut world = World::new()?;
    let material = Material::new(world.now)?;
    fs::write(world.folder.path().join("binaries/etcd"), "something else")?;
    let error = match world.apply(&material, FOREVER) {
        Ok(_) => return Err("it was taken".into()),
        Err(error) => error.to_string(),
    };
    if !error.starts_with("install etcd: etcd has the checksum") {
        return Err(error.into());
    }
    let left = fs::symlink_metadata(world.root().join("usr/local/bin/etcd")).is_ok();
    if left {
        return Err("it lies where programs are started from".into());
    }
    Ok(())
}

fn taken_up() -> Tried {
    let mut world = World::new()?;
    let material = Material::new(world.now)?;
    world.apply(&material, FOREVER)?;
    let adopted = Material::read(&material.text())?;
    if !world.apply(&adopted, FOREVER)?.steps.is_empty() {
        return Err("another operator's machine would do it all again".into());
    }
    // A new authority: what the old one signed will not do.
    let other = Material::new(world.now + Duration::from_secs(1))?;
    let plan = world.apply(&other, FOREVER)?;
    let issued = plan
        .steps
        .iter()
        .filter(|step| matches!(step, Step::Issue { .. }))
        .count();
    if issued < 8 {
        return Err(show(&plan).into());
    }
    Ok(())
}

/// Masters hold the token while somebody is to join, the same all day; the day after another.
fn token_of_the_day() -> Tried {
    const TOKEN: &str = "etc/kubernetes/addons/05-join.yaml";
    let mut world = World::new()?;
    world.now = std::time::UNIX_EPOCH + Duration::from_secs(20_500 * 86_400);
    let material = Material::new(world.now)?;
    world.apply(&material, FOREVER)?;
    let read = |world: &World| fs::read_to_string(world.root().join(TOKEN));
    let first = read(&world)?;
    let mode = fs::metadata(world.root().join(TOKEN))?.permissions().mode();
    if mode & 0o7777 != 0o600 || !first.contains("2026-02-18T00:00:00Z") {
        return Err(format!("{mode:o} {}", first.len()).into());
    }
    world.now += Duration::from_secs(86_399);
    if !world.apply(&material, FOREVER)?.steps.is_empty() {
        return Err("the same day has another token".into());
    }
    world.now += Duration::from_secs(1);
    let next = world.apply(&material, FOREVER)?;
    let lines: Vec<_> = next.steps.iter().map(sternpost::plan::line).collect();
    let wanted = [
        format!("bring /{TOKEN}"),
        format!("reload sternpost-addons.service, since /{TOKEN} changed"),
    ];
    if lines != wanted || read(&world)? == first {
        return Err(format!("{lines:?}").into());
    }
    Ok(())
}
