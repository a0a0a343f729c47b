//! The daemon at a real etcd and kube-apiserver: the worked cases under the identities
//! they name, late rights, a burst, a flood, and two of us of which one dies.
//!
//! Everything listens on loopback. Leaves to others: real kubelets.

#![expect(
    clippy::print_stdout,
    reason = "how many and how long belongs to the result"
)]

mod cases;
mod load;
mod rig;

use lab::requirement::{Requirement, trial};
use libtest_mimic::{Arguments, Failed};

type Tried = Result<(), Box<dyn std::error::Error>>;

type Test = fn() -> Tried;

fn main() {
    let tests: [(&str, Test); 6] = [
        ("every_case_is_decided_as_it_expects", || {
            on_runtime(cases::all())
        }),
        ("a_right_that_comes_late_is_seen", || {
            on_runtime(load::late_right())
        }),
        ("five_hundred_at_once", || on_runtime(load::burst())),
        ("a_flood_stops_nobody_else", || on_runtime(load::flood())),
        ("a_token_is_used_as_often_as_it_may", || {
            on_runtime(load::limited_tokens())
        }),
        ("one_of_two_is_killed", || on_runtime(load::killed())),
    ];
    let trials = tests.into_iter().map(|(name, test)| {
        trial(name, &[Requirement::Kubernetes], move || {
            test().map_err(|error| Failed::from(error.to_string()))
        })
    });
    let mut arguments = Arguments::from_args();
    // Each stands up a cluster of its own and measures time.
    arguments.test_threads = Some(1);
    libtest_mimic::run(&arguments, trials.collect()).exit();
}

fn on_runtime(test: impl Future<Output = Tried>) -> Tried {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    runtime.block_on(test)
}
