//! Runs one rung: streams what it prints, ends it when its time is up.

use std::collections::BTreeSet;
use std::io::{self, BufRead, BufReader, PipeReader};
use std::process::{Command, ExitStatus, Stdio};
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, sync_channel};
use std::thread;
use std::time::{Duration, Instant};

use crate::ladder::Rung;
use crate::tally::Tally;
use crate::tree::Tree;

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
    let mut tree = Tree::of(child.id());
    for signal in ["INT", "KILL"] {
        tree.grow();
        tree.signal(signal);
        if drain(&received, Instant::now() + GRACE, &mut on_line) {
            break;
        }
    }
    // Without a shell there was no signal; this one is sent by ourselves.
    child.kill()?;
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
    fn a_command_whose_time_is_up_is_ended() {
        let command = ["sh", "-c", "echo begun; sleep 60"].map(str::to_owned);
        let ending = stream(&command, Duration::from_millis(200), |_| ());
        assert!(matches!(ending, Ok(Ending::TimedOut)));
    }
}
