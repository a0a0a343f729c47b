//! What is ours, decided. Pure.

use std::collections::BTreeSet;

use crate::guard::Held;
use crate::linux::{LIFETIME, Present};

/// Whether the kernel keeps the mark that is put on an address.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Marks {
    /// It has not shown one of ours yet.
    Unseen,
    /// It shows them: they say what is ours.
    Kept,
    /// It shows ours without, or none are put there: the file says what is ours.
    Lost,
}

impl Marks {
    /// Name for JSON.
    pub fn name(self) -> &'static str {
        match self {
            Self::Unseen => "unseen",
            Self::Kept => "kept",
            Self::Lost => "lost",
        }
    }
}

/// What an entry has come to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Change {
    /// The file says what it has to.
    None,
    /// It has to be written.
    Write,
}

/// The addresses that were put on interfaces, as far as no mark says so.
#[derive(Debug, Clone)]
pub(super) struct Book {
    mark: Option<u8>,
    marks: Marks,
    held: BTreeSet<Held>,
}

impl Book {
    /// With what the run before has left.
    pub(super) fn new(mark: Option<u8>, left: BTreeSet<Held>) -> Self {
        let marks = mark.map_or(Marks::Lost, |_| Marks::Unseen);
        Self {
            mark,
            marks,
            held: left,
        }
    }

    pub(super) fn mark(&self) -> Option<u8> {
        self.mark
    }

    pub(super) fn marks(&self) -> Marks {
        self.marks
    }

    pub(super) fn held(&self) -> &BTreeSet<Held> {
        &self.held
    }

    /// Is it ours? By its mark; or it was written down, and still lives no longer than we
    /// let an address live: whoever replaces one of ours by their own gives it more.
    pub(super) fn owns(&self, there: &Present) -> bool {
        let marked = self.mark.is_some() && there.mark == self.mark;
        let known = self.held.contains(&there.held());
        marked || (known && there.mark.is_none() && there.left <= LIFETIME)
    }

    /// It is about to be put there. Written down first: a crash in between leaves a line
    /// too many, never an address that nobody knows to be ours.
    pub(super) fn intend(&mut self, held: Held) -> Change {
        match self.marks {
            Marks::Kept => Change::None,
            Marks::Unseen | Marks::Lost if self.held.insert(held) => Change::Write,
            Marks::Unseen | Marks::Lost => Change::None,
        }
    }

    /// The kernel shows what was put there.
    pub(super) fn echo(&mut self, shown: &[Present]) -> Change {
        let Some(mark) = self.mark else {
            return Change::None;
        };
        let ours = |there: &&Present| self.held.contains(&there.held());
        let Some(there) = shown.iter().find(ours) else {
            return Change::None;
        };
        if there.mark == Some(mark) {
            self.marks = Marks::Kept;
            return match std::mem::take(&mut self.held).is_empty() {
                true => Change::None,
                false => Change::Write,
            };
        }
        self.marks = Marks::Lost;
        Change::None
    }

    /// It was taken away, or is somebody else's.
    pub(super) fn forget(&mut self, held: Held) -> Change {
        match self.held.remove(&held) {
            true => Change::Write,
            false => Change::None,
        }
    }

    /// What is there at the start. Whatever carries a mark, the kernel's own on loopback for
    /// one, shows that it keeps them. Of what the run before has left, what is not there any
    /// more is forgotten.
    pub(super) fn begin(&mut self, present: &[Present]) -> Change {
        if self.mark.is_some() && present.iter().any(|there| there.mark.is_some()) {
            self.marks = Marks::Kept;
        }
        let before = self.held.len();
        let there: BTreeSet<_> = present.iter().map(Present::held).collect();
        self.held.retain(|held| there.contains(held));
        match self.held.len() == before {
            true => Change::None,
            false => Change::Write,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MARK: u8 = b'V';
    const EVER: u32 = u32::MAX;

    fn held(last: u8) -> Held {
        Held {
            interface: 2,
            address: format!("10.55.0.{last}/24").parse().unwrap(),
        }
    }

    fn shown(last: u8, mark: Option<u8>, left: u32) -> Present {
        Present::shown(held(last), mark, left)
    }

    fn fresh() -> Book {
        Book::new(Some(MARK), BTreeSet::new())
    }

    #[test]
    fn a_kernel_that_keeps_marks_needs_no_file() {
        let mut book = fresh();
        assert_eq!(book.marks(), Marks::Unseen);
        // Nobody knows yet: written down, once.
        assert_eq!(book.intend(held(1)), Change::Write);
        assert_eq!(book.intend(held(1)), Change::None);
        assert_eq!(book.echo(&[shown(1, Some(MARK), 1)]), Change::Write);
        assert_eq!((book.marks(), book.held().len()), (Marks::Kept, 0));
        assert_eq!(book.intend(held(2)), Change::None);
        assert!(book.owns(&shown(2, Some(MARK), 1)));
        assert!(!book.owns(&shown(2, None, 1)));
        assert!(!book.owns(&shown(2, Some(4), 1)));
    }

    #[test]
    fn a_kernel_that_forgets_marks_is_known_by_its_echo() {
        let mut book = fresh();
        book.intend(held(1));
        // What it shows of others says nothing about ours.
        assert_eq!(book.echo(&[shown(7, Some(1), EVER)]), Change::None);
        assert_eq!(book.marks(), Marks::Unseen);
        assert_eq!(book.echo(&[shown(1, None, 1)]), Change::None);
        assert_eq!(book.marks(), Marks::Lost);
        assert_eq!(book.intend(held(2)), Change::Write);
        assert_eq!(book.forget(held(2)), Change::Write);
        assert_eq!(book.forget(held(2)), Change::None);
        assert!(book.owns(&shown(1, None, LIFETIME)));
    }

    #[test]
    fn without_a_mark_nothing_has_to_be_shown() {
        let mut book = Book::new(None, BTreeSet::new());
        assert_eq!(book.marks(), Marks::Lost);
        assert_eq!(book.intend(held(1)), Change::Write);
        assert_eq!(book.echo(&[shown(1, None, 1)]), Change::None);
        assert_eq!(book.marks(), Marks::Lost);
        // No mark is no mark of ours.
        assert!(!book.owns(&shown(2, None, 1)));
    }

    #[test]
    fn what_was_written_down_is_ours_only_as_we_put_it_there() {
        let book = Book::new(Some(MARK), BTreeSet::from([held(1)]));
        for (there, ours) in [
            (shown(1, None, 0), true),
            (shown(1, None, LIFETIME), true),
            // Somebody has put their own in its place.
            (shown(1, None, LIFETIME + 1), false),
            (shown(1, None, EVER), false),
            (shown(1, Some(1), 1), false),
            // Never written down.
            (shown(2, None, 1), false),
        ] {
            assert_eq!(book.owns(&there), ours, "{there:?}");
        }
        let mut elsewhere = shown(1, None, 1);
        elsewhere.interface = 3;
        assert!(!book.owns(&elsewhere));
    }

    #[test]
    fn what_is_gone_is_forgotten_at_the_start() {
        let mut book = Book::new(Some(MARK), BTreeSet::from([held(1), held(2)]));
        assert_eq!(book.begin(&[shown(2, None, 1)]), Change::Write);
        assert_eq!(book.held(), &BTreeSet::from([held(2)]));
        assert_eq!(book.begin(&[shown(2, None, 1)]), Change::None);
        assert_eq!(book.marks(), Marks::Unseen);
    }

    #[test]
    fn the_kernel_s_own_marks_show_that_it_keeps_them() {
        let mut book = Book::new(Some(MARK), BTreeSet::from([held(1)]));
        // Of a run that marked nothing.
        let left = shown(1, None, 1);
        assert_eq!(
            book.begin(&[shown(7, Some(1), EVER), left.clone()]),
            Change::None
        );
        assert_eq!((book.marks(), book.owns(&left)), (Marks::Kept, true));
        assert_eq!(book.intend(held(2)), Change::None);
        let mut without = Book::new(None, BTreeSet::new());
        without.begin(&[shown(7, Some(1), EVER)]);
        assert_eq!(without.marks(), Marks::Lost);
    }
}
