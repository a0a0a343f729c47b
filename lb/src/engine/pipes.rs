//! A worker's pipes for splicing, under a budget.
//!
//! A pipe is lent for one chunk and comes back empty; only a flow whose destination is slow
//! keeps it longer. So a few serve all, and the first ones are asked to be wide: a chunk
//! through them is as large as what a socket has, and costs the same calls. The kernel gives
//! an unprivileged user 16,384 pages of pipes: it then refuses to widen, which is as good,
//! and shrinks new ones to two pages, in which splicing is slower than copying: such a pipe
//! is not used, and no new one is asked for until a while later.

use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use rustix::pipe::{PipeFlags, fcntl_getpipe_size, fcntl_setpipe_size, pipe_with};

/// Pipes that one worker asks to be wide.
const WIDE: usize = 3;
/// Pipes one worker makes at most. With the wide ones these are 1,024 pages: 16 workers stay
/// within those of one user.
const BUDGET: usize = WIDE + 16;
/// How wide: the most that the kernel grants without a privilege.
const WIDTH: usize = 1024 * 1024;
/// The kernel's usual size; a smaller pipe means that the user has used up its pages.
const USUAL: usize = 64 * 1024;
/// Requests that go without a pipe after one could not be made.
const PATIENCE: u32 = 10_000;

/// Both ends of a pipe.
#[derive(Debug)]
pub(super) struct Pipe {
    read: OwnedFd,
    write: OwnedFd,
    /// How much fits, in pages that are full; the network's may be larger.
    width: usize,
}

impl Pipe {
    /// Where bytes come out.
    #[must_use]
    pub(super) fn outlet(&self) -> BorrowedFd<'_> {
        self.read.as_fd()
    }

    /// Where bytes go in.
    #[must_use]
    pub(super) fn inlet(&self) -> BorrowedFd<'_> {
        self.write.as_fd()
    }

    fn open(width: usize) -> Option<Self> {
        let flags = PipeFlags::CLOEXEC | PipeFlags::NONBLOCK;
        let (read, write) = pipe_with(flags).ok()?;
        if width > USUAL {
            // Refused, it is as wide as any.
            let _ = fcntl_setpipe_size(&read, width);
        }
        let width = fcntl_getpipe_size(&read).ok()?;
        (width >= USUAL).then_some(Self { read, write, width })
    }
}

/// The pipes of one worker.
#[derive(Debug)]
pub(super) struct Pipes {
    /// The wide ones last, as the last is lent first.
    idle: Vec<Pipe>,
    /// Made and not closed: idle ones and lent ones.
    made: usize,
    budget: usize,
    /// Requests still to go without.
    sulk: u32,
}

impl Pipes {
    /// No pipes yet, and at most `most` of them, within the budget of a worker.
    #[must_use]
    pub(super) fn new(most: usize) -> Self {
        Self {
            idle: Vec::new(),
            made: 0,
            budget: most.min(BUDGET),
            sulk: 0,
        }
    }

    /// An empty pipe, unless there is none to be had: then the caller copies.
    pub(super) fn lend(&mut self) -> Option<Pipe> {
        if let Some(pipe) = self.idle.pop() {
            return Some(pipe);
        }
        if self.made >= self.budget {
            return None;
        }
        if self.sulk > 0 {
            self.sulk -= 1;
            return None;
        }
        let width = if self.made < WIDE { WIDTH } else { USUAL };
        let pipe = Pipe::open(width);
        match pipe {
            Some(_) => self.made += 1,
            None => self.sulk = PATIENCE,
        }
        pipe
    }

    /// Takes an empty pipe back.
    pub(super) fn give_back(&mut self, pipe: Pipe) {
        let wider = |other: &Pipe| other.width <= pipe.width;
        let place = self.idle.iter().rposition(wider).map_or(0, |at| at + 1);
        self.idle.insert(place, pipe);
    }

    /// Closes a pipe, with whatever is in it.
    pub(super) fn discard(&mut self, pipe: Pipe) {
        drop(pipe);
        self.made -= 1;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_budget_holds_and_comes_back() {
        let mut pipes = Pipes::new(3);
        let mut lent: Vec<Pipe> = std::iter::from_fn(|| pipes.lend()).collect();
        assert_eq!(lent.len(), 3);
        pipes.discard(lent.pop().unwrap());
        pipes.give_back(lent.pop().unwrap());
        assert!(pipes.lend().is_some());
        assert!(pipes.lend().is_some());
        assert!(pipes.lend().is_none());
    }

    #[test]
    fn no_worker_has_more_than_its_share_of_the_users_pages() {
        let mut pipes = Pipes::new(usize::MAX);
        let lent: Vec<Pipe> = std::iter::from_fn(|| pipes.lend()).collect();
        assert_eq!(lent.len(), BUDGET);
        let pages: usize = lent.iter().map(|pipe| pipe.width / 4096).sum();
        assert!(pages <= 1024, "{pages}");
    }

    #[test]
    fn the_widest_is_lent_first_whatever_the_order_of_return() {
        let mut pipes = Pipes::new(5);
        let mut lent: Vec<Pipe> = std::iter::from_fn(|| pipes.lend()).collect();
        lent.rotate_left(2);
        let mut widths: Vec<usize> = lent.iter().map(|pipe| pipe.width).collect();
        widths.sort_unstable_by(|a, b| b.cmp(a));
        lent.into_iter().for_each(|pipe| pipes.give_back(pipe));
        let again: Vec<Pipe> = std::iter::from_fn(|| pipes.lend()).collect();
        let again: Vec<usize> = again.iter().map(|pipe| pipe.width).collect();
        assert_eq!(again, widths);
    }
}
