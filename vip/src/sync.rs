//! Sync groups: routers of one node that hold their addresses together or not at all, such
//! as the two sides of a gateway.
//!
//! ```text
//!   driver ──Stance──▶ Seat ──▶ Book (watch) ──▶ the drivers beside it
//! ```
//!
//! [`Book`] decides, without a clock; a [`Seat`] is one router's place in it. All drivers
//! of a group read the latest value, and none waits for another:
//!
//! | seen beside it | what a router does |
//! |---|---|
//! | all others are Active, or ready to be | takes over when its own timer has fired |
//! | one has lost its addresses | gives its own away |
//! | one is at fault | is at fault |
//! | one stays out | stays out |

use std::collections::BTreeMap;
use std::sync::Arc;

use tokio::sync::watch;
use vrrp::{Priority, State};

use crate::track::{Out, Standing};

/// How one router of a group stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Stance {
    /// Its state.
    pub state: State,
    /// It is a Backup whose timer has fired: it would take over if the others did, or if
    /// no stranger had its addresses. For a stranger, nobody leaves other addresses nowhere.
    pub ready: bool,
    /// Its own link, or its own addresses, make it unable.
    pub faulty: bool,
    /// Its own checks, or a person, make it stay out.
    pub out: Option<Out>,
    /// Times it has lost its addresses for a reason of its own.
    pub falls: u64,
}

impl Stance {
    /// Before it starts, and after its end.
    pub const ABSENT: Self = Self {
        state: State::Initialize,
        ready: false,
        faulty: false,
        out: None,
        falls: 0,
    };
}

/// How every router of one group stands.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Book(BTreeMap<String, Stance>);

impl Book {
    /// From here on these are the members; those that were before keep their stance.
    pub fn set_members(&mut self, members: &[String]) {
        self.0.retain(|name, _| members.contains(name));
        for name in members {
            self.0.entry(name.clone()).or_insert(Stance::ABSENT);
        }
    }

    /// Writes down how a member stands; others are not in the book.
    pub fn post(&mut self, router: &str, stance: Stance) {
        if let Some(known) = self.0.get_mut(router) {
            *known = stance;
        }
    }

    /// Whom a router has to wait for before it may take over.
    pub fn missing(&self, router: &str) -> Vec<String> {
        let missing = self.beside(router);
        let missing = missing.filter(|(_, it)| it.state != State::Active && !it.ready);
        missing.map(|(name, _)| name.clone()).collect()
    }

    /// What the others make of a router.
    pub fn around(&self, router: &str) -> Around {
        let outs = || self.beside(router).filter_map(|(_, it)| it.out);
        Around {
            falls: self.beside(router).map(|(_, it)| it.falls).sum(),
            faulty: self.beside(router).any(|(_, it)| it.faulty),
            failed: outs().any(|out| out == Out::Fault),
            out: outs().next().map(|_| Out::Together),
        }
    }

    /// The state of the whole, as others are told of it: Active only when every member is;
    /// at fault, too, while a check without a weight keeps them from it.
    pub fn state(&self) -> State {
        let all = |state| self.0.values().all(|it| it.state == state);
        let failed = || self.0.values().any(|it| it.out == Some(Out::Fault));
        if self.0.values().any(|it| it.state == State::Fault) {
            State::Fault
        } else if all(State::Initialize) {
            State::Initialize
        } else if all(State::Active) {
            State::Active
        } else if failed() {
            State::Fault
        } else {
            State::Backup
        }
    }

    /// The members, in the order of their names.
    pub fn members(&self) -> impl Iterator<Item = &str> {
        self.0.keys().map(String::as_str)
    }

    fn beside<'a>(
        &'a self,
        router: &'a str,
    ) -> impl Iterator<Item = (&'a String, &'a Stance)> {
        self.0.iter().filter(move |(name, _)| *name != router)
    }
}

/// What the other members of its group mean to a router.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Around {
    /// Times they have lost their addresses, all in all.
    pub falls: u64,
    /// One of them is unable.
    pub faulty: bool,
    /// One of them stays out since a check fails.
    pub failed: bool,
    /// One of them stays out.
    pub out: Option<Out>,
}

impl Around {
    /// What is left of a router's own standing beside the others.
    pub fn standing(&self, own: Standing) -> Standing {
        match (own.out, self.out) {
            (Some(_), _) | (None, None) => own,
            (None, out @ Some(_)) => Standing {
                priority: Priority::MIN,
                able: own.able,
                out,
            },
        }
    }
}

/// One router's place in a group.
#[derive(Debug, Clone)]
pub struct Seat {
    group: String,
    router: String,
    book: Arc<watch::Sender<Book>>,
    changes: watch::Receiver<Book>,
}

impl Seat {
    /// The place of `router` in the book of `group`.
    pub fn new(group: &str, router: &str, book: &Arc<watch::Sender<Book>>) -> Self {
        Self {
            group: group.to_owned(),
            router: router.to_owned(),
            book: Arc::clone(book),
            changes: book.subscribe(),
        }
    }

    /// The name of the group.
    pub fn group(&self) -> &str {
        &self.group
    }

    /// Writes down how the router stands; the group's state before and after, when that
    /// has changed.
    pub fn post(&self, stance: Stance) -> Option<(State, State)> {
        let mut moved = None;
        self.book.send_if_modified(|book| {
            let before = (book.state(), book.0.get(&self.router).copied());
            book.post(&self.router, stance);
            let after = (book.state(), book.0.get(&self.router).copied());
            if before.0 != after.0 {
                moved = Some((before.0, after.0));
            }
            before.1 != after.1
        });
        moved
    }

    /// Whom the router has to wait for.
    pub fn missing(&self) -> Vec<String> {
        self.book.borrow().missing(&self.router)
    }

    /// What the others make of it.
    pub fn around(&self) -> Around {
        self.book.borrow().around(&self.router)
    }

    /// Waits for a change by any member.
    pub async fn changed(&mut self) {
        // The sender lives in this very value.
        let _ = self.changes.changed().await;
        self.changes.mark_unchanged();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn book(stances: [(State, bool); 2]) -> Book {
        let mut book = Book::default();
        book.set_members(&["a".to_owned(), "b".to_owned(), "c".to_owned()]);
        for (name, (state, ready)) in ["b", "c"].into_iter().zip(stances) {
            let stance = Stance {
                state,
                ready,
                ..Stance::ABSENT
            };
            book.post(name, stance);
        }
        book
    }

    #[test]
    fn a_router_rises_when_all_others_are_active_or_ready() {
        use State::{Active, Backup, Fault, Initialize};
        for (b, c, missing) in [
            ((Active, false), (Active, false), &[][..]),
            ((Active, false), (Backup, true), &[]),
            ((Backup, true), (Backup, true), &[]),
            ((Backup, false), (Active, false), &["b"]),
            ((Active, false), (Fault, false), &["c"]),
            ((Initialize, false), (Backup, false), &["b", "c"]),
        ] {
            assert_eq!(book([b, c]).missing("a"), missing, "{b:?} {c:?}");
        }
    }

    #[test]
    fn the_group_is_active_only_as_a_whole_and_at_fault_with_any() {
        use State::{Active, Backup, Fault, Initialize};
        for (a, b, whole) in [
            (Active, Active, Active),
            (Active, Backup, Backup),
            (Initialize, Active, Backup),
            (Initialize, Initialize, Initialize),
            (Active, Fault, Fault),
            (Fault, Initialize, Fault),
        ] {
            let mut book = Book::default();
            book.set_members(&["a".to_owned(), "b".to_owned()]);
            for (name, state) in [("a", a), ("b", b)] {
                let absent = Stance::ABSENT;
                book.post(name, Stance { state, ..absent });
            }
            assert_eq!(book.state(), whole, "{a} {b}");
        }
    }

    #[test]
    fn n4_a_failed_check_of_any_is_the_group_s_fault_unless_all_are_active() {
        use State::{Active, Backup, Fault, Initialize};
        for (a, b, out, whole) in [
            (Backup, Backup, Out::Fault, Fault),
            (Active, Backup, Out::Fault, Fault),
            (Backup, Initialize, Out::Fault, Fault),
            (Active, Active, Out::Fault, Active),
            (Initialize, Initialize, Out::Fault, Initialize),
            (Backup, Backup, Out::Released, Backup),
        ] {
            let mut book = Book::default();
            book.set_members(&["a".to_owned(), "b".to_owned()]);
            for (name, state, out) in [("a", a, Some(out)), ("b", b, None)] {
                let absent = Stance::ABSENT;
                book.post(
                    name,
                    Stance {
                        state,
                        out,
                        ..absent
                    },
                );
            }
            assert_eq!(book.state(), whole, "{a} {b} {out:?}");
        }
    }

    #[test]
    fn faults_falls_and_staying_out_of_the_others_count_and_ours_do_not() {
        let mut book = book([(State::Active, false), (State::Active, false)]);
        let bad = Stance {
            faulty: true,
            out: Some(Out::Fault),
            falls: 3,
            ..Stance::ABSENT
        };
        book.post("a", bad);
        assert_eq!(book.around("a"), Around::default());
        let seen = book.around("b");
        assert_eq!((seen.falls, seen.faulty, seen.failed), (3, true, true));
        let own = Standing {
            priority: Priority::new(200),
            able: Priority::new(200),
            out: None,
        };
        let beside = seen.standing(own);
        assert_eq!(beside.priority, Priority::MIN);
        assert_eq!(beside.able, own.able);
        assert_eq!(beside.out, Some(Out::Together));
        assert_eq!(Around::default().standing(own), own);
        let released = Standing {
            priority: Priority::MIN,
            able: Priority::new(200),
            out: Some(Out::Released),
        };
        assert_eq!(seen.standing(released), released);
    }

    #[test]
    fn members_that_stay_keep_their_stance() {
        let mut book = book([(State::Active, false), (State::Backup, true)]);
        book.set_members(&["a".to_owned(), "b".to_owned()]);
        assert_eq!(book.members().collect::<Vec<_>>(), ["a", "b"]);
        assert_eq!(book.missing("a"), Vec::<String>::new());
        book.post("c", Stance::ABSENT);
        assert_eq!(book.members().count(), 2, "c is not in the book");
    }
}
