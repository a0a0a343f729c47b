//! The daemon at a real etcd and kube-apiserver: the worked cases under the identities
//! they name, late rights and addresses, names that two ask for, a burst, a flood, three of
//! us of which one dies, certificates that are issued, and real kubelets that join, are
//! read from and renew.
//!
//! One trial at a time, each with a cluster of its own in a network namespace of its own.
//! What is awaited is awaited patiently: how long it took is printed, not judged.

#![expect(
    clippy::print_stdout,
    reason = "how many and how long belongs to the result"
)]

mod booted;
mod burst;
mod cases;
mod flood;
mod inspect;
mod kubelet;
mod latency;
mod load;
mod names;
mod paths;
mod rig;
mod rotation;
mod servers;
mod signers;
mod signing;
mod tokens;
mod wait;

use std::sync::atomic::{AtomicUsize, Ordering};

use lab::netns::{self, Netns};
use lab::requirement::{Requirement, trial};
use lab::{command, signals};
use libtest_mimic::{Arguments, Failed};

type Tried = wait::Res<()>;

type Test = fn() -> Tried;

/// Trials of a cluster without nodes.
const TESTS: [(&str, Test); 21] = [
    ("every_case_is_decided_as_it_expects", || {
        on_runtime(cases::all())
    }),
    ("a_right_that_comes_late_is_seen", || {
        on_runtime(load::late_right())
    }),
    ("five_hundred_at_once", || on_runtime(load::burst())),
    ("a_flood_stops_nobody_else", || on_runtime(flood::flood())),
    ("a_token_is_used_as_often_as_it_may", || {
        on_runtime(load::limited_tokens())
    }),
    ("a_name_is_given_once", || {
        on_runtime(names::one_name_for_two())
    }),
    ("one_request_alone", || on_runtime(latency::idle())),
    ("an_address_that_comes_late_is_seen", || {
        on_runtime(latency::late_address())
    }),
    ("what_a_newer_request_replaces_is_closed", || {
        on_runtime(latency::superseded())
    }),
    ("a_request_of_the_cluster_is_explained", || {
        on_runtime(inspect::explained())
    }),
    ("another_approver_is_found", || {
        on_runtime(inspect::another_approver())
    }),
    ("an_apiserver_dies", || on_runtime(paths::apiserver_dies())),
    ("a_pod_s_credentials_do", || on_runtime(paths::in_a_pod())),
    ("credentials_are_read_again", || {
        on_runtime(paths::renewed_credentials())
    }),
    ("one_of_three_is_killed", || on_runtime(load::killed())),
    ("certificates_are_as_upstream_s_and_work", || {
        on_runtime(signing::as_upstream())
    }),
    ("two_signers_make_one_certificate", || {
        on_runtime(signers::two_signers())
    }),
    ("authorities_are_rotated", || {
        on_runtime(rotation::rotation())
    }),
    ("cluster_info_is_signed_as_upstream_does", || {
        on_runtime(tokens::as_upstream())
    }),
    ("a_token_lives_and_dies", || on_runtime(tokens::life())),
    (
        "five_hundred_issued_at_once",
        || on_runtime(burst::issued()),
    ),
];

/// Trials with a real kubelet.
const NODES: [(&str, Test); 2] = [
    ("a_kubelet_joins_and_renews", || {
        on_runtime(kubelet::renews())
    }),
    ("a_kubelet_joins_by_us_alone", || {
        on_runtime(kubelet::signed_here())
    }),
];

fn main() {
    netns::sweep();
    signals::clean_up_on_interrupt();
    let needs = [Requirement::Root, Requirement::Kubernetes];
    let trials = TESTS
        .into_iter()
        .map(|(name, test)| trial(name, &needs, move || in_namespace(test)));
    let needs = [&needs[..], &[Requirement::Runtime]].concat();
    let with_nodes = NODES
        .into_iter()
        .map(|(name, test)| trial(name, &needs, move || in_namespace(test)));
    let needs = [
        Requirement::Root,
        Requirement::Kubernetes,
        Requirement::Machine,
    ];
    let unit = "the_unit_works_on_a_booted_machine";
    let with_machine = trial(unit, &needs, booted::trial);
    let trials = trials.chain(with_nodes).chain([with_machine]);
    let mut arguments = Arguments::from_args();
    // Each stands up a cluster, which is a machine's work.
    arguments.test_threads = Some(1);
    libtest_mimic::run(&arguments, trials.collect()).exit();
}

/// Ports are nobody else's there. The thread that sits in it is the parent of all that the
/// trial starts, and lives as long as the trial.
fn in_namespace(test: Test) -> Result<(), Failed> {
    static TRIALS: AtomicUsize = AtomicUsize::new(0);
    let stem = netns::stem(TRIALS.fetch_add(1, Ordering::Relaxed));
    let netns = Netns::new(format!("{stem}-cluster"))?;
    command::run("ip", &["-n", netns.name(), "link", "set", "lo", "up"])?;
    netns.run(move || test().map_err(|error| error.to_string()))??;
    Ok(())
}

fn on_runtime(test: impl Future<Output = Tried>) -> Tried {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    runtime.block_on(test)
}
