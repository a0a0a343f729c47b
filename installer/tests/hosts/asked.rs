//! `sternpost init` at a terminal, by a person who reads what is asked and answers that.
//!
//! Leaves to `cli/init.rs`: which flags spare which questions.

use std::fs;
use std::io::{BufReader, Read, Write};
use std::process::{Command, Stdio};

use super::hosts::{Hosts, INIT};
use super::{Tried, holds};

/// Words of a question, and what is answered; every other one has a default that is taken.
const ANSWERS: [(&str, &str); 5] = [
    ("is called", "prod"),
    (
        "one or three or five",
        "m1=192.0.2.11 m2=192.0.2.12 m3=192.0.2.13",
    ),
    ("that no host has", "192.0.2.9/24"),
    ("hosts for Pods", "n1=192.0.2.21"),
    ("ssh logs in", "ubuntu"),
];
/// More questions than anybody is asked.
const MOST: usize = 12;
/// Seconds after which nobody waits for another question.
const PATIENCE: &str = "60";

pub(super) fn at_a_terminal() -> Tried {
    let hosts = Hosts::new()?;
    let program = env!("CARGO_BIN_EXE_sternpost");
    let line = format!("{program} init --spec asked.yaml");
    let mut child = Command::new("timeout")
        .args([PATIENCE, "script", "--quiet", "--return", "--command"])
        .args([line.as_str(), "typescript"])
        .current_dir(hosts.desk())
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()?;
    let mut input = child.stdin.take().ok_or("no way in")?;
    let output = child.stdout.take().ok_or("no way out")?;
    let (mut said, mut asked) = (String::new(), Vec::new());
    let mut begun = 0;
    for octet in BufReader::new(output).bytes() {
        said.push(char::from(octet?));
        let since = said.get(begun..).unwrap_or_default();
        if is_question(since) && asked.len() < MOST {
            let words = |(words, _): &&(&str, &str)| since.contains(words);
            let (words, answer) = ANSWERS.iter().find(words).unwrap_or(&("", ""));
            asked.push(*words);
            begun = said.len();
            writeln!(input, "{answer}")?;
        }
    }
    let ended = child.wait()?;
    if !ended.success() {
        return Err(format!("{ended}:\n{said}").into());
    }
    for (words, _) in ANSWERS {
        if asked.iter().filter(|one| **one == words).count() != 1 {
            return Err(format!("not asked once for what {words}:\n{said}").into());
        }
    }
    holds(&said, "asked.yaml: written; next: sternpost preflight")?;
    hosts.run(&["check", "--spec", "asked.yaml"])?.ended(0)?;
    // As whoever answers in flags.
    let flags = ["--ssh-user", "ubuntu", "--spec", "flags.yaml"];
    hosts.run(&[INIT.as_slice(), &flags].concat())?.ended(0)?;
    let text = |name: &str| fs::read_to_string(hosts.desk().join(name));
    match text("asked.yaml")? == text("flags.yaml")? {
        true => Ok(()),
        false => Err(format!("another description:\n{}", text("asked.yaml")?).into()),
    }
}

/// It waits behind a colon; what stands in brackets says what an empty answer is.
fn is_question(said: &str) -> bool {
    said.ends_with(": ") && said.matches('(').count() == said.matches(')').count()
}
