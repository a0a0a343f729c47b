//! How a binary of tests that make a lab begins.

use libtest_mimic::{Arguments, Trial};

use crate::{netns, signals};

/// Removes what killed runs left, runs the trials one after the other (two labs at once would
/// disturb each other's clocks), and leaves nothing behind, on Ctrl-C neither.
pub fn run(trials: Vec<Trial>) -> ! {
    netns::sweep();
    signals::clean_up_on_interrupt();
    let mut arguments = Arguments::from_args();
    arguments.test_threads.get_or_insert(1);
    libtest_mimic::run(&arguments, trials).exit()
}
