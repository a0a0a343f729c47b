//! A transition and what else is told, and the words in which keepalived tells of it.

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

/// What others are told of.
#[derive(Debug, Clone)]
pub enum News {
    /// A transition.
    Moved(Move),
    /// What the FIFO alone tells of a router.
    Aside {
        /// Its name.
        router: String,
        /// What.
        aside: Aside,
        /// Its priority.
        priority: Priority,
    },
}

/// What is no transition.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Aside {
    /// It is Active, and has heard another that should yield to it.
    LowerHeard,
    /// Its priority has changed while it was Active.
    ActivePriority,
    /// Its priority has changed while it was not.
    BackupPriority,
}

impl Aside {
    /// The word that keepalived's users know.
    fn word(self) -> &'static str {
        match self {
            Self::LowerHeard => "MASTER_RX_LOWER_PRI",
            Self::ActivePriority => "MASTER_PRIORITY",
            Self::BackupPriority => "BACKUP_PRIORITY",
        }
    }

    /// Does keepalived tell of it only where the file says so?
    pub(super) fn is_asked_for(self) -> bool {
        match self {
            Self::LowerHeard => false,
            Self::ActivePriority | Self::BackupPriority => true,
        }
    }
}

impl News {
    /// Whose it is.
    pub(super) fn subject(&self) -> Subject {
        match self {
            Self::Moved(moved) => moved.subject.clone(),
            Self::Aside { router, .. } => Subject::Router(router.clone()),
        }
    }
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
pub fn line(news: &News) -> String {
    let (word, priority) = match news {
        News::Moved(moved) => (word(moved.to), moved.priority),
        News::Aside {
            aside, priority, ..
        } => (aside.word(), *priority),
    };
    let subject = news.subject();
    let ((kind, name), priority) = (subject.named(), priority.get());
    format!("{kind} \"{name}\" {word} {priority}\n")
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
            assert_eq!(line(&News::Moved(moved.clone())), expected);
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
        let line = line(&News::Moved(moved.clone()));
        assert_eq!(line, "GROUP \"VG_1\" MASTER 0\n");
        assert_eq!(arguments(&moved), ["GROUP", "VG_1", "MASTER", "0"]);
    }

    #[test]
    fn what_is_no_transition_has_keepalived_s_lines() {
        for (aside, expected) in [
            (Aside::LowerHeard, "MASTER_RX_LOWER_PRI"),
            (Aside::ActivePriority, "MASTER_PRIORITY"),
            (Aside::BackupPriority, "BACKUP_PRIORITY"),
        ] {
            let news = News::Aside {
                router: "VI_1".to_owned(),
                aside,
                priority: Priority::new(101),
            };
            assert_eq!(line(&news), format!("INSTANCE \"VI_1\" {expected} 101\n"));
        }
    }
}
