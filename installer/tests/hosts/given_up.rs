//! `reset` as an operator sees it: what is said while it works, what is noted, and how it goes on.

use std::fs;
use std::io::{BufRead, BufReader, Read};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use serde_json::Value;

use super::hosts::{HOSTS, Hosts};
use super::{Tried, holds};

const WORDS: [&str; 4] = ["reset", "--data", "--confirm", "prod"];

/// The events of one kind, by their host.
fn of<'a>(events: &'a [Value], kind: &str, host: &str) -> Vec<&'a Value> {
    let all = events.iter();
    all.filter(|one| one["event"] == kind && one["host"] == host)
        .collect()
}

fn events(text: &str) -> Tried<Vec<Value>> {
    let all = text.lines().map(serde_json::from_str);
    Ok(all.collect::<Result<_, _>>()?)
}

/// Ctrl-C while m1 is at its first step.
fn broken_off(hosts: &Hosts) -> Tried<Vec<Value>> {
    fs::write(hosts.root(HOSTS[0].1).join("run/slow-stop"), "2")?;
    let mut reset = hosts.begin(&[&WORDS[..], &["-o", "json"]].concat())?;
    let pipe = reset.stdout.take().ok_or("no pipe")?;
    let mut lines = BufReader::new(pipe);
    let (mut text, mut line) = (String::new(), String::new());
    let read: Tried = loop {
        line.clear();
        match lines.read_line(&mut line) {
            Ok(0) => break Err("it said no step of m1".into()),
            Ok(_) => text.push_str(&line),
            Err(error) => break Err(error.into()),
        }
        if line.contains(r#""step""#) && line.contains(r#""m1""#) {
            break Ok(());
        }
    };
    let told = kill(Pid::from_raw(i32::try_from(reset.id())?), Signal::SIGINT);
    let rest = lines.read_to_string(&mut text);
    let ended = reset.wait()?;
    read?;
    told?;
    rest?;
    match ended.code() {
        Some(1) => events(&text),
        code => Err(format!("{code:?}\n{text}").into()),
    }
}

pub(super) fn stopped() -> Tried {
    let hosts = Hosts::new()?;
    hosts.run(&["apply"])?.ended(0)?;
    let runs = hosts.record()?.lines().count();
    let seen = broken_off(&hosts)?;
    let [failed] = of(&seen, "failed", "m1")[..] else {
        return Err(format!("{seen:?}").into());
    };
    let error = failed["error"].as_str().unwrap_or_default();
    holds(error, "stopped before ")?;
    holds(error, "; the others are done, reset again to go on")?;
    let steps = of(&seen, "step", "m1");
    let [first] = steps[..] else {
        return Err(format!("{steps:?}").into());
    };
    let left = first["of"].as_u64().unwrap_or_default().saturating_sub(1);
    // What is not done is done by the next, which says each step.
    let said = hosts.run(&WORDS)?.ended(0)?;
    holds(&said, "m1: stop ")?;
    holds(
        &said,
        "m1: remove folder /var/lib/etcd with all that is in it",
    )?;
    let done = said.lines().find_map(|line| {
        let count = line.strip_prefix("m1: ")?.strip_suffix(" step(s) done")?;
        count.parse::<u64>().ok()
    });
    if !done.is_some_and(|done| (left..=left + 1).contains(&done)) {
        return Err(format!("{left} were left:\n{said}").into());
    }
    // Both are in the operator's journal.
    let text = hosts.record()?;
    let noted: Vec<_> = text.lines().skip(runs).collect();
    let noted = events(&noted.join("\n"))?;
    let begun = noted.iter().filter(|one| one["event"] == "begun");
    let begun: Vec<_> = begun.map(|one| &one["command"]).collect();
    let steps = of(&noted, "step", "m1").len();
    let ended = of(&noted, "done", "m1").len() == 1;
    if begun != ["reset", "reset"] || steps < 2 || !ended {
        return Err(text.into());
    }
    // Nothing is left, and that is said.
    let said = hosts.run(&["reset", "--data", "--dry-run"])?.ended(0)?;
    holds(&said, "m1: nothing to remove")
}
