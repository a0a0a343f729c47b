//! The servers known for one backend, and what an answer changes. Decides; asks nobody.

use std::collections::{BTreeMap, BTreeSet};
use std::net::SocketAddr;
use std::time::SystemTime;

use super::{Answer, MOST};

/// What is known of a backend's servers besides those of the file.
#[derive(Clone, Debug, Default)]
pub struct Ledger {
    servers: BTreeSet<SocketAddr>,
    /// Where they are known from.
    pub from: From,
    /// When the source answered last.
    pub answered: Option<SystemTime>,
    /// What was wrong with the last answer.
    pub failure: Option<String>,
    /// Answers by what became of them.
    pub answers: BTreeMap<&'static str, u64>,
}

/// Where servers are known from.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum From {
    /// None are known.
    #[default]
    Nowhere,
    /// The file of the last run.
    Memory,
    /// The source itself.
    Source,
}

impl From {
    /// The word in `/status`.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Nowhere => "nowhere",
            Self::Memory => "memory",
            Self::Source => "source",
        }
    }
}

/// What became of an answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Heard {
    /// Other servers are known from here on.
    Changed {
        /// Those that were not.
        came: Vec<SocketAddr>,
        /// Those that were.
        left: Vec<SocketAddr>,
    },
    /// The same as before.
    Same,
    /// It begins to fail; what is known stays.
    Fails,
    /// It fails still; what is known stays.
    StillFails,
}

impl Ledger {
    /// Begins with what the last run knew.
    #[must_use]
    pub fn remembering(servers: &[SocketAddr]) -> Self {
        let servers: BTreeSet<SocketAddr> = servers.iter().copied().collect();
        Self {
            from: if servers.is_empty() {
                From::Nowhere
            } else {
                From::Memory
            },
            servers,
            ..Self::default()
        }
    }

    /// In the order of their addresses.
    #[must_use]
    pub const fn servers(&self) -> &BTreeSet<SocketAddr> {
        &self.servers
    }

    /// Takes in an answer. Servers that are `unfit` are passed over; an answer without a
    /// fit one, or with more than [`MOST`], counts as none.
    pub fn hear(
        &mut self,
        answer: Answer,
        unfit: impl Fn(SocketAddr) -> bool,
        now: SystemTime,
    ) -> Heard {
        let (mut named, why, name) = match answer {
            Answer::All(named) => (named, None, "answered"),
            Answer::Some(named, why) => {
                (&named | &self.servers, Some(why.to_string()), why.name())
            }
            Answer::None(why) => return self.fail(why.to_string(), why.name()),
        };
        let before = named.len();
        named.retain(|server| !unfit(*server));
        if named.is_empty() && before > 0 {
            let why =
                "names no server but this host's own binds and addresses that are none";
            return self.fail(why.to_owned(), "unfit");
        }
        if named.is_empty() {
            return self.fail("names no server".to_owned(), "empty");
        }
        if named.len() > MOST {
            return self.fail(format!("names more than {MOST} servers"), "tooMany");
        }
        self.count(name);
        let failed_before = self.failure.is_some();
        self.failure = why;
        self.answered = Some(now);
        self.from = From::Source;
        let came: Vec<_> = named.difference(&self.servers).copied().collect();
        let left: Vec<_> = self.servers.difference(&named).copied().collect();
        self.servers = named;
        match (came.is_empty() && left.is_empty(), &self.failure) {
            (false, _) => Heard::Changed { came, left },
            (true, None) => Heard::Same,
            (true, Some(_)) if failed_before => Heard::StillFails,
            (true, Some(_)) => Heard::Fails,
        }
    }

    fn fail(&mut self, why: String, name: &'static str) -> Heard {
        self.count(name);
        if self.failure.replace(why).is_some() {
            Heard::StillFails
        } else {
            Heard::Fails
        }
    }

    fn count(&mut self, name: &'static str) {
        *self.answers.entry(name).or_default() += 1;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::discover::Failure;

    const NOW: SystemTime = SystemTime::UNIX_EPOCH;

    fn at(last: u8) -> SocketAddr {
        ([192, 0, 2, last], 6443).into()
    }

    fn all(last: &[u8]) -> BTreeSet<SocketAddr> {
        last.iter().map(|last| at(*last)).collect()
    }

    /// What was known, the answer, what became of it, what is known then. 9 is unfit.
    #[test]
    fn nothing_takes_the_last_server_away() {
        let changed = |came: &[u8], left: &[u8]| Heard::Changed {
            came: all(came).into_iter().collect(),
            left: all(left).into_iter().collect(),
        };
        let many: Vec<u8> = (20..).take(MOST + 1).collect();
        for (known, answer, expected, then) in [
            (
                &[1, 2][..],
                Answer::All(all(&[1, 2])),
                Heard::Same,
                &[1, 2][..],
            ),
            (
                &[1, 2],
                Answer::All(all(&[2, 3])),
                changed(&[3], &[1]),
                &[2, 3],
            ),
            (&[], Answer::All(all(&[1])), changed(&[1], &[]), &[1]),
            (&[1, 2], Answer::All(all(&[])), Heard::Fails, &[1, 2]),
            (&[1, 2], Answer::All(all(&[9])), Heard::Fails, &[1, 2]),
            (&[1, 2], Answer::All(all(&[1, 9])), changed(&[], &[2]), &[1]),
            (&[1, 2], Answer::All(all(&many)), Heard::Fails, &[1, 2]),
            (
                &[1],
                Answer::All(all(&many[1..])),
                changed(&many[1..], &[1]),
                &many[1..],
            ),
            (
                &[1, 2],
                Answer::None(Failure::Nobody),
                Heard::Fails,
                &[1, 2],
            ),
            (
                &[1, 2],
                Answer::Some(all(&[1]), Failure::Nobody),
                Heard::Fails,
                &[1, 2],
            ),
            (
                &[1, 2],
                Answer::Some(all(&[3]), Failure::Nobody),
                changed(&[3], &[]),
                &[1, 2, 3],
            ),
        ] {
            let known: Vec<SocketAddr> = all(known).into_iter().collect();
            let mut ledger = Ledger::remembering(&known);
            let said = format!("{known:?} {answer:?}");
            let heard = ledger.hear(answer, |server| server == at(9), NOW);
            assert_eq!(heard, expected, "{said}");
            assert_eq!(ledger.servers(), &all(then), "{said}");
        }
    }

    #[test]
    fn a_failure_is_news_once() {
        let mut ledger = Ledger::remembering(&[at(1)]);
        assert_eq!(ledger.from, From::Memory);
        let mut hear = |answer| ledger.hear(answer, |_| false, NOW);
        assert_eq!(hear(Answer::None(Failure::Nobody)), Heard::Fails);
        assert_eq!(hear(Answer::All(all(&[]))), Heard::StillFails);
        assert_eq!(hear(Answer::All(all(&[1]))), Heard::Same);
        assert_eq!(hear(Answer::None(Failure::Nobody)), Heard::Fails);
        assert_eq!(ledger.from, From::Source);
        let counts = [("answered", 1), ("empty", 1), ("nobody", 2)];
        assert_eq!(ledger.answers, BTreeMap::from(counts));
    }
}
