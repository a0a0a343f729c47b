//! What an operator sees while hosts are worked on: a line a host that changes in place on a
//! terminal, a line a step elsewhere, and events as JSON lines for machines.

use std::collections::BTreeMap;
use std::fmt::Write;
use std::io::{self, IsTerminal};
use std::sync::mpsc::Receiver;

use clap::ValueEnum;
use serde::Serialize;

use super::record::Record;

/// What is said of a host whose Node is deleted.
const REPLACES: &str = "have the cluster forget the Node of that name";

/// Something that happened on a host.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase", tag = "event")]
pub(super) enum Event {
    /// A step is about to be done.
    #[serde(rename_all = "camelCase")]
    Step {
        /// Where.
        host: String,
        /// Which, from 1.
        number: usize,
        /// How many there are.
        of: usize,
        /// In words.
        step: String,
    },
    /// What comes of the steps by itself is waited for, or the host's turn.
    #[serde(rename_all = "camelCase")]
    Waits {
        /// Where.
        host: String,
        /// What for, in words.
        waits_for: String,
    },
    /// The cluster forgets a node, so that this host takes its place.
    #[serde(rename_all = "camelCase")]
    Replaces {
        /// Which.
        host: String,
    },
    /// The host is as it is to be.
    #[serde(rename_all = "camelCase")]
    Done {
        /// Which.
        host: String,
        /// How many steps that took.
        steps: usize,
    },
    /// The host is not as it is to be.
    #[serde(rename_all = "camelCase")]
    Failed {
        /// Which.
        host: String,
        /// Why.
        error: String,
    },
    /// Something stays that was touched.
    #[serde(rename_all = "camelCase")]
    Keeps {
        /// Where; outside of the hosts, when it is none of theirs.
        #[serde(skip_serializing_if = "Option::is_none")]
        host: Option<String>,
        /// What, and why.
        keeps: String,
    },
    /// No host is worked on.
    #[serde(rename_all = "camelCase")]
    Refused {
        /// Why.
        error: String,
    },
}

/// What somebody asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(super) enum Output {
    /// For people: lines, which change in place on a terminal.
    Text,
    /// One event a line on standard output.
    Json,
}

impl Output {
    /// How what happens is shown to who asked for this.
    pub(super) fn look(self) -> Look {
        match self {
            Self::Json => Look::Json,
            Self::Text if io::stderr().is_terminal() => Look::Live,
            Self::Text => Look::Plain,
        }
    }

    /// What is left to say in the end.
    pub(super) fn not_told(self, text: String) -> String {
        match self {
            // It was in the events.
            Self::Json => String::new(),
            Self::Text => text,
        }
    }
}

/// How events are shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Look {
    /// One line a host, painted over.
    Live,
    /// One line a step.
    Plain,
    /// One JSON object an event.
    Json,
}

/// Shows events, and notes them where there is a journal.
#[derive(Debug)]
pub(super) struct Printer {
    look: Look,
    record: Option<Record>,
    board: Board,
}

impl Printer {
    /// One that has shown nothing yet.
    pub(super) fn new(look: Look, record: Option<Record>) -> Self {
        Self {
            look,
            record,
            board: Board::default(),
        }
    }

    /// Shows events until there are no more.
    pub(super) fn all(mut self, events: &Receiver<Event>) {
        for event in events {
            self.tell(&event);
        }
    }

    /// Shows one. A journal that takes no more is told of once, and holds up nothing.
    pub(super) fn tell(&mut self, event: &Event) {
        let noted = self.record.as_mut().map(|record| record.note(event));
        if let Some(Err(error)) = noted {
            super::complain(&error);
            self.record = None;
        }
        match self.look {
            Look::Live => super::paint(&self.board.painted(event)),
            Look::Plain => {
                if let Some(line) = line(event) {
                    super::complain(&line);
                }
            }
            // An event always has a form in JSON.
            Look::Json => super::say(&serde_json::to_string(event).unwrap_or_default()),
        }
    }
}

/// A step as a line of a log. How a host ended is said when all have.
fn line(event: &Event) -> Option<String> {
    match event {
        Event::Step { host, step, .. } => Some(format!("{host}: {step}")),
        Event::Waits { host, waits_for } => Some(format!("{host}: waits: {waits_for}")),
        Event::Replaces { host } => Some(format!("{host}: {REPLACES}")),
        Event::Done { .. }
        | Event::Failed { .. }
        | Event::Keeps { .. }
        | Event::Refused { .. } => None,
    }
}

/// The line of every host that has said something.
#[derive(Debug, Default)]
struct Board {
    lines: BTreeMap<String, String>,
    painted: usize,
}

impl Board {
    /// What brings the terminal from the last picture to the one with `event` in it.
    fn painted(&mut self, event: &Event) -> String {
        let (host, line) = match event {
            Event::Step {
                host,
                number,
                of,
                step,
            } => (host, format!("{number:>3}/{of} {step}")),
            Event::Waits { host, waits_for } => (host, format!("waits: {waits_for}")),
            Event::Replaces { host } => (host, REPLACES.to_owned()),
            Event::Done { host, steps } => (host, format!("done, {steps} step(s)")),
            Event::Failed { host, error } => {
                let first = error.lines().next().unwrap_or_default();
                (host, format!("FAILED: {first}"))
            }
            // That is said below the picture, when it has ended.
            Event::Keeps { .. } | Event::Refused { .. } => return String::new(),
        };
        self.lines.insert(host.clone(), line);
        let mut text = String::new();
        if self.painted > 0 {
            // Up to the first line of the picture (ECMA-48, CUU).
            let _ = write!(text, "\x1b[{}A", self.painted);
        }
        for (host, line) in &self.lines {
            // Without wrapping (DECAWM), so that a line is a line; then to its end (EL).
            let _ = writeln!(text, "\r\x1b[?7l{host}: {line}\x1b[K\x1b[?7h");
        }
        self.painted = self.lines.len();
        text
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn step(host: &str, number: usize) -> Event {
        Event::Step {
            host: host.to_owned(),
            number,
            of: 2,
            step: "start etcd.service".to_owned(),
        }
    }

    #[test]
    fn a_picture_is_painted_over_the_last_one() {
        let mut board = Board::default();
        let first = board.painted(&step("m1", 1));
        assert!(!first.contains("\x1b[1A"), "{first:?}");
        assert!(first.contains("m1:   1/2 start etcd.service"), "{first:?}");
        let second = board.painted(&step("m2", 1));
        assert!(second.starts_with("\x1b[1A"), "{second:?}");
        let done = Event::Done {
            host: "m1".to_owned(),
            steps: 2,
        };
        let third = board.painted(&done);
        assert!(third.starts_with("\x1b[2A"), "{third:?}");
        assert_eq!(third.lines().count(), 2);
        assert!(third.contains("m1: done, 2 step(s)"), "{third:?}");
    }

    #[test]
    fn an_event_names_its_host_and_kind() {
        let json = serde_json::to_string(&step("m1", 2)).unwrap();
        let wanted = r#"{"event":"step","host":"m1","number":2,"of":2,"step":"start etcd.service"}"#;
        assert_eq!(json, wanted);
        assert_eq!(line(&step("m1", 2)).unwrap(), "m1: start etcd.service");
    }
}
