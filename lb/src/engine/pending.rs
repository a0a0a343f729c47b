//! Bytes that were read and that the other side would not take yet.
//!
//! A flow has pending bytes only while its destination blocks, and never more than one read.
//! A few buffers are kept for the next flow that blocks; the rest goes back to the system.

use super::pipes::{Pipe, Pipes};

/// Empty buffers kept.
const KEPT: usize = 16;

/// Bytes on their way, in user memory.
#[derive(Debug, Default)]
pub(super) struct Pending {
    bytes: Vec<u8>,
    /// How many of them were written.
    written: usize,
}

impl Pending {
    /// What is still to be written.
    #[must_use]
    pub(super) fn rest(&self) -> &[u8] {
        self.bytes.get(self.written..).unwrap_or_default()
    }

    /// All of it, written or not.
    #[must_use]
    pub(super) fn all(&self) -> &[u8] {
        &self.bytes
    }

    /// How many bytes were written.
    #[must_use]
    pub(super) const fn written(&self) -> u64 {
        self.written as u64
    }

    /// Adds to it.
    pub(super) fn push(&mut self, bytes: &[u8]) {
        self.bytes.extend_from_slice(bytes);
    }

    /// All of it is to be written anew, to somebody else.
    pub(super) fn rewind(&mut self) {
        self.written = 0;
    }

    /// `n` more bytes were written.
    pub(super) fn advance(&mut self, n: usize) {
        self.written += n;
    }
}

/// What one flow holds between two turns.
#[derive(Debug, Default)]
pub(super) enum Held {
    /// Nothing: the usual case, and always so when idle.
    #[default]
    Nothing,
    /// Copied bytes.
    Bytes(Box<Pending>),
    /// A pipe with bytes in it.
    Pipe(Pipe),
}

/// What the worker lends to its flows.
#[derive(Debug)]
pub(super) struct Stores {
    /// For splicing.
    pub(super) pipes: Pipes,
    /// `Box`ed because that is how they are lent: a flow holds one pointer.
    #[expect(clippy::vec_box, reason = "boxes move between the pool and the flows")]
    buffers: Vec<Box<Pending>>,
}

impl Stores {
    /// Empty stores.
    #[must_use]
    pub(super) const fn new(pipes: Pipes) -> Self {
        Self {
            pipes,
            buffers: Vec::new(),
        }
    }

    /// Keeps a copy of `rest` for a flow whose destination blocks.
    pub(super) fn hold(&mut self, rest: &[u8]) -> Held {
        let mut pending = self.buffers.pop().unwrap_or_default();
        pending.bytes.extend_from_slice(rest);
        Held::Bytes(pending)
    }

    /// Room for the first bytes of a client, which are kept until a server has answered.
    pub(super) fn room(&mut self) -> Box<Pending> {
        self.buffers.pop().unwrap_or_default()
    }

    /// Takes back what a flow held and has emptied.
    pub(super) fn emptied(&mut self, held: Held) {
        match held {
            Held::Nothing => {}
            Held::Pipe(pipe) => self.pipes.give_back(pipe),
            Held::Bytes(pending) => self.keep(pending),
        }
    }

    /// Takes back what a session still held at its end.
    pub(super) fn abandoned(&mut self, held: Held) {
        match held {
            Held::Nothing => {}
            Held::Pipe(pipe) => self.pipes.discard(pipe),
            Held::Bytes(pending) => self.keep(pending),
        }
    }

    fn keep(&mut self, mut pending: Box<Pending>) {
        if self.buffers.len() < KEPT {
            pending.bytes.clear();
            pending.written = 0;
            self.buffers.push(pending);
        }
    }
}
