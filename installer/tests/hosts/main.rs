//! The whole command over several hosts: each is a folder with an `/etc`, a `/var` and a `/run` of
//! its own, entered by what plays ssh, with systemd and the components played by scripts. What
//! is shown is what the operator's side does between hosts: who is worked on when, what is
//! said, what is kept.
//!
//! Leaves to others: real ssh, systemd and components, on booted machines.

mod arrive;
mod asked;
mod at_once;
mod bare;
mod beside;
mod docs;
#[path = "../certificates/ended.rs"]
mod ended;
mod given_up;
mod guards;
mod hosts;
mod joins;
mod master;
mod over;
mod played;
mod raised;
mod returns;
mod safe;
mod said;
mod secrets;
mod store;
mod turns;
mod watched;

use lab::requirement::{Requirement, trial};
use libtest_mimic::{Arguments, Failed};

type Tried<T = ()> = Result<T, Failed>;
type Test = fn() -> Tried;

const TESTS: &[(&str, Test)] = &[
    (
        "masters_are_started_anew_one_after_the_other",
        turns::in_turn,
    ),
    (
        "the_next_master_waits_until_the_one_before_is_well",
        turns::well,
    ),
    (
        "a_master_that_fails_leaves_the_others_as_they_are",
        turns::not_begun,
    ),
    (
        "members_of_an_etcd_that_lies_down_are_started_anew_together",
        raised::together,
    ),
    (
        "an_administrators_certificate_that_has_ended_is_named",
        raised::own_way_in,
    ),
    (
        "a_restart_that_was_broken_off_is_done_by_the_next_run",
        turns::broken_off,
    ),
    (
        "every_line_of_the_events_is_json_and_names_who_was_lost",
        turns::every_event,
    ),
    (
        "an_etcd_of_others_is_named_and_the_other_hosts_go_on",
        turns::stale,
    ),
    (
        "what_preflight_blocks_is_not_begun_and_the_other_hosts_go_on",
        bare::not_begun,
    ),
    (
        "a_firewall_that_keeps_pods_is_named_by_apply_as_by_preflight",
        bare::walled,
    ),
    (
        "what_is_in_the_way_of_the_rest_is_named_after_a_run_that_was_broken_off",
        bare::half_laid,
    ),
    (
        "an_address_that_is_somebodys_is_not_taken_from_him_by_a_change",
        bare::taken,
    ),
    (
        "a_master_that_the_operator_sits_on_is_not_reached_over_ssh",
        master::is_known,
    ),
    (
        "a_host_without_which_the_cluster_would_not_serve_is_not_begun",
        safe::one_short,
    ),
    (
        "members_of_etcd_that_change_are_refused_before_anything_is_touched",
        store::members,
    ),
    (
        "etcd_that_moves_to_other_hosts_founds_none_there",
        store::moved,
    ),
    (
        "a_member_of_etcd_that_is_to_go_is_told_how_it_leaves",
        store::leaves,
    ),
    (
        "api_servers_are_not_led_to_an_etcd_without_their_objects",
        store::led,
    ),
    (
        "nobody_founds_an_etcd_while_who_has_the_objects_is_down",
        store::silent,
    ),
    (
        "networks_that_a_cluster_was_made_with_are_not_changed",
        store::networks,
    ),
    (
        "hosts_without_which_a_cluster_falls_are_not_given_up_unasked",
        safe::given_up,
    ),
    (
        "a_worker_of_another_cluster_joins_this_one",
        joins::of_another,
    ),
    (
        "a_node_goes_over_to_another_address_when_all_masters_serve_there",
        over::address,
    ),
    (
        "an_address_is_given_up_when_no_node_looks_there_any_more",
        over::balancer,
    ),
    (
        "a_new_master_takes_no_address_whose_holder_it_would_not_hear",
        over::heard,
    ),
    (
        "a_node_that_nobody_would_let_in_is_not_begun",
        guards::newcomer,
    ),
    (
        "a_host_that_comes_back_takes_its_node_s_place_when_that_is_said",
        returns::comes_back,
    ),
    (
        "what_docker_has_in_containerd_stays_when_a_host_is_given_up",
        beside::stays,
    ),
    (
        "no_version_is_left_out_or_taken_back_and_no_kubelet_is_newest",
        guards::skewed,
    ),
    (
        "a_host_that_comes_with_an_upgrade_is_held_to_what_runs",
        guards::new_beside_an_upgrade,
    ),
    (
        "a_program_of_others_is_no_version_of_ours_and_is_not_run",
        guards::others,
    ),
    (
        "a_host_that_was_broken_off_half_laid_has_no_version",
        guards::half_laid,
    ),
    (
        "a_member_of_etcd_that_cannot_be_looked_at_is_lost_alone",
        safe::unseen,
    ),
    (
        "authorities_that_a_master_has_lost_come_back_and_no_others",
        safe::keepers,
    ),
    (
        "another_operator_on_one_master_keeps_all_hosts",
        safe::kept_out,
    ),
    (
        "of_two_operators_who_begin_at_once_one_does_it_all",
        at_once::begun,
    ),
    (
        "status_is_looked_at_until_it_is_interrupted",
        watched::until_interrupted,
    ),
    (
        "an_agent_lies_where_it_can_be_executed_and_leaves_nothing",
        arrive::anywhere,
    ),
    (
        "a_reset_says_each_step_and_goes_on_where_it_was_stopped",
        given_up::stopped,
    ),
    ("no_secret_is_said_or_noted", secrets::nowhere),
    (
        "a_person_at_a_terminal_is_asked_and_gets_a_description",
        asked::at_a_terminal,
    ),
    ("the_manuals_commands_work_in_their_order", docs::in_order),
];

fn main() {
    let trials = TESTS
        .iter()
        .map(|(name, test)| trial(*name, &[Requirement::Root], *test));
    libtest_mimic::run(&Arguments::from_args(), trials.collect()).exit();
}

/// What was wanted is in a text.
fn holds(text: &str, wanted: &str) -> Tried {
    match text.contains(wanted) {
        true => Ok(()),
        false => Err(format!("no {wanted:?} in\n{text}").into()),
    }
}
