//! A transition, and the words in which keepalived tells of one.

use vrrp::fsm::Reason;
use vrrp::{Priority, State};

/// Whose transition it is, by name.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum Subject {
    /// A router's.
    Router(String),
    /// A sync group's.
    Group(String),
}

impl Subject {
    /// The name, and the word that keepalived puts before it.
    pub(super) fn named(&self) -> (&str, &str) {
        match self {
            Self::Router(name) => ("INSTANCE", name),
            Self::Group(name) => ("GROUP", name),
        }
    }
}

/// A transition.
#[derive(Debug, Clone)]
pub struct Move {
    /// Whose.
    pub subject: Subject,
    /// Before.
    pub from: State,
    /// After.
    pub to: State,
    /// Why.
    pub reason: Reason,
    /// Its priority; 0 for a group.
    pub priority: Priority,
}

/// The word that keepalived's users know.
#[must_use]
pub fn word(state: State) -> &'static str {
    match state {
        State::Active => "MASTER",
        State::Backup => "BACKUP",
        State::Fault => "FAULT",
        State::Initialize => "STOP",
    }
}

/// What keepalived appends to the command of `notify`.
#[must_use]
pub fn arguments(moved: &Move) -> [String; 4] {
    let (kind, name) = moved.subject.named();
    [
        kind.to_owned(),
        name.to_owned(),
        word(moved.to).to_owned(),
        moved.priority.get().to_string(),
    ]
}

/// The line that keepalived writes into its FIFO.
#[must_use]
pub fn line(moved: &Move) -> String {
    let ((kind, name), priority) = (moved.subject.named(), moved.priority.get());
    format!("{kind} \"{name}\" {} {priority}\n", word(moved.to))
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;

    /// One of `VI_1`.
    pub(in crate::notify) fn moved(to: State, priority: u8) -> Move {
        Move {
            subject: Subject::Router("VI_1".to_owned()),
            from: State::Backup,
            to,
            reason: Reason::ActiveDown,
            priority: Priority::new(priority),
        }
    }

    #[test]
    fn n1_n2_arguments_and_lines_are_keepalived_s() {
        for (to, priority, expected) in [
            (State::Active, 101, "INSTANCE \"VI_1\" MASTER 101\n"),
            (State::Backup, 100, "INSTANCE \"VI_1\" BACKUP 100\n"),
            (State::Fault, 1, "INSTANCE \"VI_1\" FAULT 1\n"),
            (State::Initialize, 100, "INSTANCE \"VI_1\" STOP 100\n"),
        ] {
            let moved = moved(to, priority);
            assert_eq!(line(&moved), expected);
            let words = expected.replace('"', "");
            assert_eq!(arguments(&moved).join(" "), words.trim());
        }
    }

    #[test]
    fn n4_a_group_has_priority_0() {
        let moved = Move {
            subject: Subject::Group("VG_1".to_owned()),
            ..moved(State::Active, 0)
        };
        assert_eq!(line(&moved), "GROUP \"VG_1\" MASTER 0\n");
        assert_eq!(arguments(&moved), ["GROUP", "VG_1", "MASTER", "0"]);
    }
}
