//! A worker's pipes for splicing, under a budget.
//!
//! A pipe is lent for one chunk and comes back empty; only a flow whose destination is slow
//! keeps it longer. The kernel gives an unprivileged user some 1,024 pipes of 64 KiB and
//! then shrinks new ones to two pages, in which splicing is slower than copying: such a pipe
//! is not used, and no new one is asked for until a while later.

use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use rustix::pipe::{PipeFlags, fcntl_getpipe_size, pipe_with};

/// Pipes one worker makes at most: 16 workers stay within a user's 1,024, and the descriptors
/// stay few beside those of the sessions.
pub(super) const BUDGET: usize = 64;
/// Empty pipes kept for later. More are closed, so that a quiet worker holds little.
const KEPT: usize = 16;
/// The kernel's usual size; a smaller pipe means that the user has used up its pages.
const USUAL: usize = 64 * 1024;
/// Requests that go without a pipe after one could not be made.
const PATIENCE: u32 = 10_000;

/// Both ends of a pipe.
#[derive(Debug)]
pub(super) struct Pipe {
    read: OwnedFd,
    write: OwnedFd,
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

    fn open() -> Option<Self> {
        let flags = PipeFlags::CLOEXEC | PipeFlags::NONBLOCK;
        let (read, write) = pipe_with(flags).ok()?;
        (fcntl_getpipe_size(&read).ok()? >= USUAL).then_some(Self { read, write })
    }
}

/// The pipes of one worker.
#[derive(Debug)]
pub(super) struct Pipes {
    idle: Vec<Pipe>,
    /// Made and not closed: idle ones and lent ones.
    made: usize,
    budget: usize,
    /// Requests still to go without.
    sulk: u32,
}

impl Pipes {
    /// No pipes yet, and at most `budget` of them.
    #[must_use]
    pub(super) const fn new(budget: usize) -> Self {
        Self {
            idle: Vec::new(),
            made: 0,
            budget,
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
        let pipe = Pipe::open();
        match pipe {
            Some(_) => self.made += 1,
            None => self.sulk = PATIENCE,
        }
        pipe
    }

    /// Takes an empty pipe back.
    pub(super) fn give_back(&mut self, pipe: Pipe) {
        if self.idle.len() < KEPT {
            self.idle.push(pipe);
        } else {
            self.discard(pipe);
        }
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
}
