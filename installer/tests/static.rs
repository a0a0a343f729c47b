//! The agent in a root that holds nothing but itself: it runs on every distribution, whatever
//! that has. The daemons run where glibc is what the manual says.
//!
//! Leaves to others: what its orders do.

#![expect(clippy::wildcard_enum_match_arm, reason = "tests")]

use std::fs;
use std::process::Command;

use lab::binaries;
use lab::requirement::{Requirement, trial};
use libtest_mimic::{Arguments, Failed, Trial};
use sternpost::agent::{Answer, Order, Put};
use sternpost::apply::Transport;
use sternpost::transport::Piped;

fn main() {
    let tests = vec![
        trial(
            "the_agent_runs_in_an_empty_root",
            &[Requirement::Root],
            empty_root,
        ),
        glibc_trial(),
    ];
    libtest_mimic::run(&Arguments::from_args(), tests).exit();
}

/// The manual speaks of what is built on Debian 12; what is built elsewhere says nothing of it.
#[expect(clippy::print_stderr, reason = "the test runner reads this line")]
fn glibc_trial() -> Trial {
    let name = "daemons_ask_for_the_glibc_that_the_manual_says";
    let test = Trial::test(name, glibc);
    let system = fs::read_to_string("/etc/os-release").unwrap_or_default();
    if system
        .lines()
        .any(|line| line == "VERSION_CODENAME=bookworm")
    {
        return test;
    }
    eprintln!("SKIPPED {name} (needs: debian12): the manual speaks of that system");
    test.with_ignored_flag(true)
}

fn glibc() -> Result<(), Failed> {
    let manual = include_str!("../../docs/install.md");
    let said = manual.split_once("built on Debian 12 they ask for glibc 2.");
    let said = said.and_then(|(_, rest)| number(rest.as_bytes()));
    let said = said.ok_or("the manual does not say it")?;
    for name in ["api-lb", "bootstrap-signer", "vip-daemon"] {
        let program = fs::read(binaries::own(name)?)?;
        let newest = newest(&program).ok_or("it is not linked to glibc")?;
        if newest != said {
            let text =
                format!("{name} asks for glibc 2.{newest}, the manual says 2.{said}");
            return Err(text.into());
        }
    }
    Ok(())
}

/// The newest glibc 2 of those that a program's symbols are of.
fn newest(program: &[u8]) -> Option<u32> {
    const MARK: &[u8] = b"GLIBC_2.";
    let at = program.windows(MARK.len()).enumerate();
    let marks = at.filter(|(_, window)| *window == MARK);
    let rest = marks.filter_map(|(at, _)| program.get(at + MARK.len()..));
    rest.filter_map(number).max()
}

/// The digits that a text begins with.
fn number(text: &[u8]) -> Option<u32> {
    let digits: Vec<u8> = text
        .iter()
        .copied()
        .take_while(u8::is_ascii_digit)
        .collect();
    String::from_utf8(digits).ok()?.parse().ok()
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
