//! The real binary on hosts that are network namespaces: what the kernel, the sockets and
//! the command line make of the daemon. Elections and failover times on the wire are the
//! scenarios of the lab.

mod absent;
mod excluded;
mod footprint;
mod guard;
mod handover;
mod hosts;
mod interface;
mod ipv6;
mod ledger;
mod left;
mod live;
mod machine;
mod misfits;
mod out_of_memory;
mod placed;
mod scene;
mod start;
mod sync;
mod told;
mod truth;
mod upgrade;
mod virtual_mac;

use lab::requirement::{Requirement, trial};
use lab::{netns, schedule, signals};
use libtest_mimic::{Arguments, Failed};

/// One test.
pub(crate) type Test = fn() -> Result<(), Failed>;

fn main() {
    schedule::prefer_run();
    netns::sweep();
    signals::clean_up_on_interrupt();
    let mut arguments = Arguments::from_args();
    // Two labs at once would disturb each other's clocks.
    arguments.test_threads.get_or_insert(1);
    let tests = interface::TESTS
        .into_iter()
        .chain(live::TESTS)
        .chain(start::TESTS)
        .chain(absent::TESTS)
        .chain(excluded::TESTS)
        .chain(footprint::TESTS)
        .chain(guard::TESTS)
        .chain(handover::TESTS)
        .chain(ipv6::TESTS)
        .chain(ledger::TESTS)
        .chain(left::TESTS)
        .chain(misfits::TESTS)
        .chain(placed::TESTS)
        .chain(sync::TESTS)
        .chain(told::TESTS)
        .chain(truth::TESTS)
        .chain(upgrade::TESTS)
        .chain(virtual_mac::TESTS);
    let trials = tests.map(|(name, test)| {
        trial(format!("namespaces::{name}"), &[Requirement::Root], test)
    });
    let starved = out_of_memory::TESTS.map(|(name, test)| {
        let needs = [Requirement::Root, Requirement::Memory];
        trial(format!("namespaces::{name}"), &needs, test)
    });
    libtest_mimic::run(&arguments, trials.chain(starved).collect()).exit();
}
