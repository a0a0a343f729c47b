//! `sternpost apply` over SSH on booted machines, with the real etcd and Kubernetes.
//!
//! Leaves to `tests/apply.rs`: every single place where a run can be broken off.

mod adopted;
mod bad;
mod befallen;
mod bounds;
mod broken;
mod called;
mod checks;
#[path = "../certificates/ended.rs"]
mod ended;
mod expired;
mod from_master;
mod kept;
mod kills;
mod leases;
mod leave;
mod lost;
mod manual;
mod mirror;
mod node;
mod objects;
mod over;
mod pods;
mod record;
mod rolling;
mod said;
mod secrets;
mod served;
mod shapes;
mod six;
mod timeline;
mod walls;
mod ways;
mod whole;

use std::env;

use lab::requirement::{Requirement, trial};
use lab::rig::{MASTERS, Rig};
use lab::{netns, signals};
use libtest_mimic::{Arguments, Failed};

use kept::Begun;
use record::Laid;

type Test = (
    &'static str,
    &'static [Requirement],
    fn() -> Result<(), Failed>,
);

/// What control planes take, and what Pods take besides; and what asks the API of a cluster that
/// has no kubeconfig yet.
const MASTER: &[Requirement] = &[Requirement::Machine, Requirement::Kubernetes];
const ASKED_MASTER: &[Requirement] = &[
    Requirement::Machine,
    Requirement::Kubernetes,
    Requirement::Curl,
];
const NODE: &[Requirement] = &[
    Requirement::Machine,
    Requirement::Kubernetes,
    Requirement::Network,
    Requirement::Runtime,
];
const ASKED_NODE: &[Requirement] = &[
    Requirement::Machine,
    Requirement::Kubernetes,
    Requirement::Network,
    Requirement::Runtime,
    Requirement::Curl,
];

const WALLED: &[Requirement] = &[
    Requirement::Machine,
    Requirement::Kubernetes,
    Requirement::Network,
    Requirement::Runtime,
    Requirement::Firewall,
];

const TESTS: &[Test] = &[
    (
        "a_control_plane_comes_up_over_ssh_and_a_second_time_nothing_changes",
        ASKED_MASTER,
        control_plane,
    ),
    (
        "killed_again_and_again_it_ends_in_the_same_place",
        MASTER,
        broken::killed,
    ),
    (
        "a_stop_a_second_operator_and_a_dead_host_are_gone_on_from",
        MASTER,
        broken::stopped,
    ),
    (
        "who_is_not_root_becomes_it_and_a_host_behind_another_is_reached",
        MASTER,
        ways::taken,
    ),
    (
        "a_cluster_is_laid_down_from_a_master_and_another_operator_goes_on",
        MASTER,
        from_master::laid_down,
    ),
    (
        "each_bad_host_is_named_with_the_way_out_and_holds_up_no_other",
        MASTER,
        bad::hosts,
    ),
    (
        "masters_are_restarted_and_no_new_connection_fails",
        MASTER,
        rolling::restarts,
    ),
    (
        "a_cluster_with_a_node_from_init_to_reset",
        ASKED_NODE,
        whole::life,
    ),
    (
        "etcd_on_a_host_of_its_own_and_a_balancer_on_every_host",
        NODE,
        shapes::apart,
    ),
    (
        "an_etcd_of_others_is_used_and_left_as_it_was",
        MASTER,
        adopted::used,
    ),
];

/// Minutes each, and of what the others show in part: where [`FULL`] is set, as `make e2e` does.
const LONG: &[Test] = &[
    (
        "what_befalls_a_host_meanwhile_is_named_and_gone_on_from",
        MASTER,
        befallen::hosts,
    ),
    (
        "certificates_that_have_ended_are_issued_anew_and_etcd_comes_up",
        MASTER,
        expired::comes_up,
    ),
    (
        "killed_at_any_moment_on_either_side_it_ends_in_the_same_place",
        MASTER,
        kills::at_any_moment,
    ),
    (
        "pods_on_every_node_are_asked_and_nothing_is_left",
        NODE,
        pods::asked,
    ),
    (
        "hosts_that_filter_are_told_what_to_let_in_and_to_forget_it",
        WALLED,
        walls::told,
    ),
    (
        "flannel_takes_the_networks_of_hosts_in_etcd",
        NODE,
        leases::taken,
    ),
    (
        "two_families_have_an_address_each_and_serve_by_both",
        NODE,
        six::both,
    ),
    (
        "without_ipv4_a_cluster_serves_from_init_to_reset",
        NODE,
        six::alone,
    ),
];
const FULL: &str = "STERNPOST_FULL";

/// Nothing that Pods need.
const BARE: &str = "networks: {betweenPods: none, proxy: none}\n";

fn main() {
    netns::sweep();
    signals::clean_up_on_interrupt();
    let mut trials = Vec::new();
    for (name, needs, test) in TESTS {
        trials.push(trial(format!("machines::{name}"), needs, *test));
    }
    if env::var_os(FULL).is_some() {
        for (name, needs, test) in LONG {
            trials.push(trial(format!("machines::{name}"), needs, *test));
        }
    }
    let mut arguments = Arguments::from_args();
    // Each boots machines of its own, and is measured.
    arguments.test_threads.get_or_insert(1);
    libtest_mimic::run(&arguments, trials).exit();
}

#[expect(
    clippy::print_stdout,
    reason = "how long it took belongs to the result"
)]
fn control_plane() -> Result<(), Failed> {
    let begun = Begun::now()?;
    let rig = Rig::boot("installer", &MASTERS)?;
    rig.programs()?;
    rig.describe(&MASTERS, BARE)?;
    let before = leave::standing(&rig)?;
    let dry = rig.apply(&["--dry-run"])?.ended(3)?;
    checks::holds(&dry.printed, "start kube-apiserver.service")?;
    let served = served::applied(&rig, || {})?;
    let first = served.run;
    checks::serving(&rig)?;
    checks::one_holder(&rig)?;
    checks::channel(&rig, &MASTERS)?;
    for run in [&dry, &first] {
        checks::no_secret(run)?;
    }
    let second = rig.apply(&[])?.ended(0)?;
    let laid = Laid {
        nodes: 0,
        served: served.after.as_secs_f64(),
        applied: first.took.as_secs_f64(),
        green: None,
        again: second.took.as_secs_f64(),
        hosts: served.timeline.shares(first.took),
    };
    println!("bare machines to a control plane:\n{laid}");
    kept::keep(|record| record.masters = Some(begun.measured(laid)))?;
    checks::nothing_done(&second, &rig)?;
    checks::nothing_left(&rig)?;
    objects::kept(&rig)?;
    leave::seen(&rig)?;
    leave::gone(&rig, &before)
}
