//! A session's turn: the steps of its relay, performed.

use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::sync::atomic::Ordering;
use std::time::Duration;

use rustix::net::sockopt;

use super::carry;
use super::load::Load;
use super::pending::{Held, Stores};
use super::relay::{Fault, Flow, Gave, Over, Side, Step, Took, Via};
use super::session::{Session, Writes};
use super::tools::Tools;
use super::wheel::Tick;
use crate::hello::{self, Extent};

/// Bytes that a session moves before it adds them to the shared counters. A counter is
/// behind by at most this much per session, and workers do not fight over its cache line.
const REPORT: u64 = 1024 * 1024;

/// How a turn ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Turn {
    /// There is nothing to do until a poll reports something.
    Rests,
    /// There is more to do, and others go first.
    Again,
    /// There is more to do, when the kernel has memory again.
    Starved,
    /// The relay is over.
    Over(Over),
    /// The server has closed without having said a byte, and can be replaced.
    Lost,
}

impl Session {
    /// Performs the relay's steps until there is nothing to do or the turn is used up.
    pub(super) fn turn(&mut self, tools: &mut Tools) -> Turn {
        self.machine.relay().rested();
        let mut left = tools.turn();
        while left > 0 {
            match self.machine.relay().next() {
                Step::Carry { flow, via } => match self.carry(flow, via, left, tools) {
                    Some(len) => left = left.saturating_sub(len),
                    None => return Turn::Lost,
                },
                Step::Flush(flow) => self.flush(flow, tools),
                Step::Shut(flow) => self.shut(flow),
                Step::Inquire(side) => self.inquire(side),
                Step::Wait => return Turn::Rests,
                Step::Rest => return Turn::Starved,
                Step::Over(over) => return Turn::Over(over),
            }
        }
        Turn::Again
    }

    /// Bytes carried; `None` when the server has ended in silence.
    fn carry(
        &mut self,
        flow: Flow,
        via: Via,
        most: u32,
        tools: &mut Tools,
    ) -> Option<u32> {
        self.before_write(flow);
        if flow == Flow::Up && matches!(self.load, Load::Dial { .. }) {
            return Some(self.carry_first(tools));
        }
        let Some(sides) = Sides::of(&self.client, self.socket.as_ref(), flow) else {
            return Some(0);
        };
        let mut first = Held::Nothing;
        let held = self.load.held(flow).unwrap_or(&mut first);
        let spliced = match via {
            Via::Pipe => {
                carry::through_pipe(sides.from, sides.to, most, &mut tools.stores, held)
            }
            Via::Copy => None,
        };
        let (via, (took, gave)) = match spliced {
            Some(outcome) => (Via::Pipe, outcome),
            None => {
                let Tools {
                    scratch, stores, ..
                } = tools;
                (
                    Via::Copy,
                    carry::copy(sides.from, sides.to, scratch, stores, held),
                )
            }
        };
        if took == Took::Eof && self.machine.silent_since().is_some() {
            return None;
        }
        self.machine.relay().carried(flow, via, took, gave);
        let Took::Bytes { len, full } = took else {
            return Some(0);
        };
        if via == Via::Copy && !full {
            tools.small = Some(tools.now);
        }
        self.settle(&mut tools.stores);
        if !matches!(first, Held::Nothing)
            && let Some(held) = self.load.held(flow)
        {
            *held = first;
        }
        self.crossed(flow, given(len, gave), tools.now);
        tools.round = tools.round.saturating_sub(len);
        Some(len)
    }

    /// The client's first bytes: kept, as long as they are a ClientHello and nothing else.
    fn carry_first(&mut self, tools: &mut Tools) -> u32 {
        let Some(server) = &self.socket else {
            return 0;
        };
        let took = carry::take(&self.client, &mut tools.scratch);
        let Took::Bytes { len, full } = took else {
            self.machine
                .relay()
                .carried(Flow::Up, Via::Copy, took, Gave::All);
            return 0;
        };
        let bytes = tools.scratch.get(..len as usize).unwrap_or_default();
        if !full {
            tools.small = Some(tools.now);
        }
        tools.round = tools.round.saturating_sub(len);
        let Load::Dial { kept, .. } = &mut self.load else {
            return 0;
        };
        let is_hello = kept.is_some() || can_be_given_again(bytes);
        let gave = if is_hello {
            let kept = kept.get_or_insert_with(|| tools.stores.room());
            kept.push(bytes);
            carry::give_kept(server, kept)
        } else {
            let mut held = Held::Nothing;
            let gave = carry::give(server, bytes, &mut tools.stores, &mut held);
            self.settle(&mut tools.stores);
            if let Some(up) = self.load.held(Flow::Up) {
                *up = held;
            }
            gave
        };
        self.machine
            .relay()
            .carried(Flow::Up, Via::Copy, took, gave);
        self.crossed(Flow::Up, given(len, gave), tools.now);
        if let Load::Dial {
            kept: Some(kept), ..
        } = &self.load
            && !can_be_given_again(kept.all())
        {
            self.settle(&mut tools.stores);
        }
        len
    }

    /// The server that is connected is the one: nothing is kept for another any more.
    pub(super) fn settle(&mut self, stores: &mut Stores) {
        let Load::Dial { kept, .. } = &mut self.load else {
            return;
        };
        let mut sent = 0;
        let up = match kept.take() {
            None => Held::Nothing,
            Some(kept) => {
                sent = kept.written();
                let is_given = kept.rest().is_empty();
                let kept = Held::Bytes(kept);
                if is_given {
                    stores.emptied(kept);
                    Held::Nothing
                } else {
                    kept
                }
            }
        };
        self.machine.doubted(None);
        self.load = Load::Relay {
            up,
            down: Held::Nothing,
            sent,
            received: 0,
        };
    }

    fn flush(&mut self, flow: Flow, tools: &mut Tools) {
        self.before_write(flow);
        let before = self.machine.relay().pending(flow);
        let Some(sides) = Sides::of(&self.client, self.socket.as_ref(), flow) else {
            return;
        };
        let gave = match (&mut self.load, flow) {
            (
                Load::Dial {
                    kept: Some(kept), ..
                },
                Flow::Up,
            ) => carry::give_kept(sides.to, kept),
            (load, _) => match load.held(flow) {
                Some(held) => carry::flush(sides.to, before, &mut tools.stores, held),
                None => return,
            },
        };
        self.machine.relay().flushed(flow, gave);
        self.crossed(flow, given(before, gave), tools.now);
    }

    fn shut(&mut self, flow: Flow) {
        if let Some(sides) = Sides::of(&self.client, self.socket.as_ref(), flow) {
            // Fails only when the peer is gone, which the next poll says better.
            let _ = rustix::net::shutdown(sides.to, rustix::net::Shutdown::Write);
        }
        self.machine.relay().shut(flow);
    }

    fn inquire(&mut self, side: Side) {
        let socket = match side {
            Side::Client => Some(&self.client),
            Side::Server => self.socket.as_ref(),
        };
        let error = socket.and_then(|socket| sockopt::socket_error(socket).ok());
        let fault = match error {
            Some(Err(errno)) => carry::fault_of(errno),
            Some(Ok(())) | None => Fault::Other,
        };
        self.machine.relay().failed(side, fault);
    }

    fn before_write(&mut self, flow: Flow) {
        if flow.destination() == Side::Client || self.writes == Writes::Many {
            return;
        }
        if self.writes == Writes::None {
            self.writes = Writes::One;
            return;
        }
        self.writes = Writes::Many;
        if let Some(socket) = &self.socket {
            // Without it small requests wait for acknowledgements; they still arrive.
            let _ = sockopt::set_tcp_nodelay(socket, true);
        }
    }

    fn crossed(&mut self, flow: Flow, len: u32, now: Duration) {
        self.machine.crossed(flow, Tick::at(now));
        if flow == Flow::Down && self.first_byte_after.is_none() {
            self.first_byte_after = self.age(now);
        }
        let (total, counter) = match (&mut self.load, flow) {
            (Load::Dial { .. }, _) => return,
            (Load::Relay { sent, .. }, Flow::Up) => (sent, Counter::Sent),
            (Load::Relay { received, .. }, Flow::Down) => (received, Counter::Received),
        };
        let before = *total;
        *total += u64::from(len);
        let whole = (*total / REPORT - before / REPORT) * REPORT;
        if whole > 0 {
            self.count_bytes(counter, whole);
        }
    }

    /// Adds what the shared counters do not have yet.
    pub(super) fn settle_bytes(&self) {
        let (sent, received) = self.bytes();
        self.count_bytes(Counter::Sent, sent % REPORT);
        self.count_bytes(Counter::Received, received % REPORT);
    }

    fn count_bytes(&self, counter: Counter, bytes: u64) {
        let both = [
            Some(&self.origin.counters),
            self.server.as_ref().map(|s| &s.counters),
        ];
        for counters in both.into_iter().flatten() {
            let counter = match counter {
                Counter::Sent => &counters.sent,
                Counter::Received => &counters.received,
            };
            counter.fetch_add(bytes, Ordering::Relaxed);
        }
    }
}

#[derive(Clone, Copy)]
enum Counter {
    Sent,
    Received,
}

/// The sockets of a flow, in its direction.
struct Sides<'a> {
    from: BorrowedFd<'a>,
    to: BorrowedFd<'a>,
}

impl<'a> Sides<'a> {
    fn of(client: &'a OwnedFd, server: Option<&'a OwnedFd>, flow: Flow) -> Option<Self> {
        let (client, server) = (client.as_fd(), server?.as_fd());
        Some(match flow {
            Flow::Up => Self {
                from: client,
                to: server,
            },
            Flow::Down => Self {
                from: server,
                to: client,
            },
        })
    }
}

/// Whether another server may be given these first bytes, too: a ClientHello or the beginning
/// of one. Nothing else may be given twice, least of all a request that does something.
pub(super) fn can_be_given_again(bytes: &[u8]) -> bool {
    match hello::extent(bytes) {
        Extent::More => true,
        Extent::Whole(len) => len == bytes.len(),
        Extent::Not(_) => false,
    }
}

/// Of `len` bytes, how many the destination has.
const fn given(len: u32, gave: Gave) -> u32 {
    match gave {
        Gave::All => len,
        Gave::Part { left } | Gave::Starved { left } => len.saturating_sub(left),
        Gave::Failed(_) => 0,
    }
}
