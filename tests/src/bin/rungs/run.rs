//! Runs one rung: streams what it prints, ends it when its time is up.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::io::{self, BufRead, BufReader, PipeReader};
use std::process::{Command, ExitStatus, Stdio};
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, sync_channel};
use std::thread;
use std::time::{Duration, Instant};

use crate::ladder::Rung;
use crate::tally::Tally;

/// How long a rung that is being ended has to put its lab away.
const GRACE: Duration = Duration::from_secs(30);

/// Lines read ahead of the terminal.
const LINES: usize = 256;

/// How a command ended.
pub(crate) enum Ending {
    Exited(ExitStatus),
    TimedOut,
    NotStarted(io::Error),
}

/// Runs a rung to its end and counts what it says.
pub(crate) fn run(rung: &Rung, demanded: &BTreeSet<String>) -> Tally {
    println!("\n== {}: {}", rung.name, rung.command.join(" "));
    let mut tally = Tally::default();
    let ending = stream(&rung.command, rung.limit, |line| {
        println!("{line}");
        tally.read(line, demanded);
    });
    tally.close(rung.counts, &ending.unwrap_or_else(Ending::NotStarted));
    tally
}

/// Runs a command and hands over each line of its stdout and stderr, in their order.
fn stream(
    command: &[String],
    limit: Duration,
    mut on_line: impl FnMut(&str),
) -> io::Result<Ending> {
    let Some((program, arguments)) = command.split_first() else {
        return Err(io::ErrorKind::InvalidInput.into());
    };
    let (reader, writer) = io::pipe()?;
    let mut child = Command::new(program)
        .args(arguments)
        .stdin(Stdio::null())
        .stdout(writer.try_clone()?)
        .stderr(writer)
        .spawn()?;
    let (lines, received) = sync_channel(LINES);
    thread::spawn(move || forward(reader, &lines));
    let deadline = Instant::now() + limit;
    if drain(&received, deadline, &mut on_line) {
        return child.wait().map(Ending::Exited);
    }
    // As from a terminal's Ctrl-C first: a lab then removes its namespaces and processes.
    for signal in ["-INT", "-KILL"] {
        signal_all(signal, &tree(child.id()));
        if drain(&received, Instant::now() + GRACE, &mut on_line) {
            break;
        }
    }
    child.wait().map(|_| Ending::TimedOut)
}

fn forward(reader: PipeReader, lines: &SyncSender<String>) {
    let mut reader = BufReader::new(reader);
    let mut line = Vec::new();
    while reader
        .read_until(b'\n', &mut line)
        .is_ok_and(|read| read > 0)
    {
        let text = String::from_utf8_lossy(&line).trim_end().to_owned();
        if lines.send(text).is_err() {
            return;
        }
        line.clear();
    }
}

/// Hands over lines until there are no more; false when the deadline comes first.
fn drain(
    lines: &Receiver<String>,
    deadline: Instant,
    on_line: &mut impl FnMut(&str),
) -> bool {
    loop {
        match lines.recv_timeout(deadline.saturating_duration_since(Instant::now())) {
            Ok(line) => on_line(&line),
            Err(RecvTimeoutError::Disconnected) => return true,
            Err(RecvTimeoutError::Timeout) => return false,
        }
    }
}

/// A process and all that descend from it.
fn tree(root: u32) -> Vec<u32> {
    let mut children: BTreeMap<u32, Vec<u32>> = BTreeMap::new();
    for entry in fs::read_dir("/proc").into_iter().flatten().flatten() {
        let process = entry
            .file_name()
            .to_str()
            .and_then(|name| name.parse().ok());
        let stat = fs::read_to_string(entry.path().join("stat")).unwrap_or_default();
        if let (Some(process), Some(parent)) = (process, parent(&stat)) {
            children.entry(parent).or_default().push(process);
        }
    }
    let mut found = vec![root];
    let mut next = 0;
    while let Some(process) = found.get(next) {
        found.extend(children.remove(process).unwrap_or_default());
        next += 1;
    }
    found
}

/// The parent in `/proc/PID/stat`: the second field after the name, which may hold anything.
fn parent(stat: &str) -> Option<u32> {
    let (_, fields) = stat.rsplit_once(')')?;
    fields.split_whitespace().nth(1)?.parse().ok()
}

fn signal_all(signal: &str, processes: &[u32]) {
    let processes = processes.iter().map(u32::to_string);
    // One that is gone already is as it should be.
    drop(
        Command::new("kill")
            .arg(signal)
            .args(processes)
            .stderr(Stdio::null())
            .status(),
    );
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lines_of(script: &str) -> (Vec<String>, Ending) {
        let command = ["sh", "-c", script].map(str::to_owned);
        let mut lines = Vec::new();
        let ending = stream(&command, Duration::from_secs(60), |line| {
            lines.push(line.to_owned());
        });
        let ending = ending.unwrap();
        (lines, ending)
    }

    #[test]
    fn both_streams_arrive_in_their_order() {
        let (lines, ending) = lines_of("echo one; echo two >&2; printf three; exit 3");
        assert_eq!(lines, ["one", "two", "three"]);
        assert!(matches!(ending, Ending::Exited(status) if status.code() == Some(3)));
    }

    #[test]
    fn the_parent_is_found_behind_any_name() {
        assert_eq!(parent("12 (a) b) S 7 12 12"), Some(7));
        assert_eq!(parent(""), None);
    }

    #[test]
    fn a_tree_holds_children_and_theirs() {
        let script = "sleep 60 & sleep 60 & wait";
        let mut child = Command::new("sh").args(["-c", script]).spawn().unwrap();
        let deadline = Instant::now() + Duration::from_secs(10);
        while tree(child.id()).len() < 3 && Instant::now() < deadline {
            thread::yield_now();
        }
        let found = tree(child.id());
        signal_all("-KILL", &found);
        child.wait().unwrap();
        assert_eq!(found.len(), 3, "{found:?}");
    }
}
