//! The agent in a root that holds nothing but itself: it runs on every distribution, whatever
//! that has.
//!
//! Leaves to others: what its orders do.

#![expect(clippy::wildcard_enum_match_arm, reason = "tests")]

use std::fs;
use std::process::Command;

use lab::binaries;
use lab::requirement::{Requirement, trial};
use libtest_mimic::{Arguments, Failed};
use sternpost::agent::{Answer, Order, Put};
use sternpost::apply::Transport;
use sternpost::transport::Piped;

fn main() {
    let test = trial(
        "the_agent_runs_in_an_empty_root",
        &[Requirement::Root],
        empty_root,
    );
    libtest_mimic::run(&Arguments::from_args(), vec![test]).exit();
}

fn empty_root() -> Result<(), Failed> {
    let root = tempfile::tempdir()?;
    fs::copy(
        binaries::own("sternpost-static")?,
        root.path().join("agent"),
    )?;
    let mut command = Command::new("chroot");
    command.arg(root.path()).args(["/agent", "agent"]);
    let mut agent = Piped::start(&mut command)?;
    let path = "/etc/sternpost/hello".to_owned();
    let put = Put {
        path: path.clone(),
        mode: 0o640,
        owner: "root".to_owned(),
        content: "here".to_owned(),
    };
    for order in [Order::Lock("a test".to_owned()), Order::Put(put)] {
        match agent.ask(order)? {
            Answer::Done => {}
            other => return Err(format!("{other:?}").into()),
        }
    }
    match agent.ask(Order::Fetch(vec![path.clone()]))? {
        Answer::Fetched(found) if found.get(&path).is_some_and(|text| text == "here") => {
            Ok(())
        }
        other => Err(format!("{other:?}").into()),
    }
}
