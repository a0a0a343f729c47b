//! One session: two sockets, a machine, and what is needed to say in the end how it was.
//!
//! Idle, it is this struct in its slab slot and nothing else: no buffer, no timer entry. Its
//! size is the memory that a connection costs, so every field has to earn its place.

use std::net::{IpAddr, SocketAddr, SocketAddrV6};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use rustix::net::sockopt;

use super::machine::Machine;
use super::pending::{Held, Pending, Stores};
use super::poll::Lane;
use super::relay::{Fault, Flow, Gave, Over, Side, Step, Took, Via};
use super::report;
use super::wheel::Tick;
use super::{carry, tcp_info};
use crate::admit::Gate;
use crate::hello::{self, Extent, Rules};
use crate::pool::{Attempt, Backend, Counters, Dialling, Frontend, Refusal, Seat};
use crate::proxy::{self, Header};
use crate::worker::End;

/// Bytes a session may move before others get their turn, while small requests are about:
/// little enough that it delays one by some ten microseconds.
const TURN: u32 = 128 * 1024;
/// Bytes that all sessions of the queue together move before the poll is looked at again,
/// while small requests are about.
const ROUND: u32 = TURN;
/// The same where all is bulk: enough that one call takes all that a socket has received.
const TURN_OF_BULK: u32 = 4 * 1024 * 1024;
/// How long small requests are about after one was seen.
const COMPANY: Duration = Duration::from_millis(100);
/// Bytes that a session moves before it adds them to the shared counters. A counter is
/// behind by at most this much per session, and workers do not fight over its cache line.
const REPORT: u64 = 1024 * 1024;

/// Where a session came in: what it keeps of its frontend. Not the frontend itself, which
/// would keep listening sockets open for as long as a session lasts.
#[derive(Debug)]
pub(super) struct Origin {
    /// The frontend's name.
    pub(super) frontend: Arc<str>,
    /// The frontend's counters.
    pub(super) counters: Arc<Counters>,
    /// Who may come in.
    pub(super) gate: Arc<Gate>,
    /// Where its sessions go.
    pub(super) backend: Arc<Backend>,
    /// Which route of the frontend this is.
    pub(super) route: Option<usize>,
    /// What its clients have to say first, if that matters.
    pub(super) reception: Option<Reception>,
}

/// What a frontend wants to hear before a server is dialled.
#[derive(Debug)]
pub(super) struct Reception {
    /// How it is judged.
    pub(super) rules: Arc<Rules>,
    /// Where each of its routes leads, in their order.
    pub(super) routes: Box<[Rc<Origin>]>,
}

impl Origin {
    /// What a session keeps of this frontend.
    #[must_use]
    pub(super) fn of(frontend: &Frontend) -> Rc<Self> {
        let to = |backend: &Arc<Backend>, route, reception| {
            Rc::new(Self {
                frontend: Arc::clone(&frontend.name),
                counters: Arc::clone(&frontend.counters),
                gate: Arc::clone(&frontend.gate),
                backend: Arc::clone(backend),
                route,
                reception,
            })
        };
        let routes = frontend.routes.iter().enumerate();
        let routes = routes.map(|(at, backend)| to(backend, Some(at), None));
        let reception = frontend.rules.as_ref().map(|rules| Reception {
            rules: Arc::clone(rules),
            routes: routes.collect(),
        });
        to(&frontend.backend, None, reception)
    }

    /// Where a session of this frontend goes that went by this route before.
    #[must_use]
    pub(super) fn by(self: &Rc<Self>, route: Option<usize>) -> Rc<Self> {
        let reception = self.reception.as_ref();
        let routes = reception.map(|reception| &reception.routes);
        let same = routes.and_then(|routes| routes.get(route?));
        Rc::clone(same.unwrap_or(self))
    }
}

/// What a session carries in its dial, and what in its relay: never both.
#[derive(Debug)]
pub(super) enum Load {
    /// Until the server's first byte, or the client's first that cannot be given again:
    /// another server can still be dialled.
    Dial {
        /// The dials so far.
        dials: Dialling,
        /// What decides among equal servers: [`Backend::lot`].
        lot: u64,
        /// The client's first bytes: what the server has of them, and what not yet.
        kept: Option<Box<Pending>>,
        /// A second dial beside the first.
        spare: Option<Box<Spare>>,
        /// When this dial began.
        began: Tick,
    },
    /// While bytes cross.
    Relay {
        /// Pending bytes towards the server.
        up: Held,
        /// Pending bytes towards the client.
        down: Held,
        /// Bytes given to the server.
        sent: u64,
        /// Bytes given to the client.
        received: u64,
    },
}

/// A dial beside another.
#[derive(Debug)]
pub(super) struct Spare {
    /// Its socket, on the lane that the session's own is not on.
    pub(super) socket: OwnedFd,
    /// The place at the server that is dialled.
    pub(super) server: Seat,
    /// When it began.
    pub(super) began: Tick,
    /// When it is given up.
    pub(super) deadline: Tick,
}

/// A client's address in 24 bytes: a `SocketAddr` takes 32, for an IPv6 flow label that
/// nobody asks for.
#[derive(Clone, Copy, Debug)]
pub(super) struct Peer {
    ip: IpAddr,
    port: u16,
    scope: u32,
}

impl Peer {
    pub(super) const fn of(address: SocketAddr) -> Self {
        Self {
            ip: address.ip(),
            port: address.port(),
            scope: match address {
                SocketAddr::V4(_) => 0,
                SocketAddr::V6(six) => six.scope_id(),
            },
        }
    }

    /// The address without its port.
    #[must_use]
    pub(super) const fn ip(self) -> IpAddr {
        self.ip
    }

    /// The whole address.
    #[must_use]
    pub(super) fn address(self) -> SocketAddr {
        match self.ip {
            IpAddr::V4(four) => SocketAddr::from((four, self.port)),
            IpAddr::V6(six) => SocketAddrV6::new(six, self.port, 0, self.scope).into(),
        }
    }
}

/// A point of the worker's clock in 8 bytes: microseconds since its start. Lasts for half a
/// million years.
#[derive(Clone, Copy, Debug)]
pub(super) struct Moment(u64);

impl Moment {
    pub(super) fn at(since_start: Duration) -> Self {
        Self(u64::try_from(since_start.as_micros()).unwrap_or(u64::MAX))
    }

    /// How long ago it was.
    #[must_use]
    pub(super) const fn elapsed(self, now: Duration) -> Duration {
        now.saturating_sub(Duration::from_micros(self.0))
    }
}

/// How often the server's socket was written to: its first write leaves at once by itself,
/// from the second on TCP_NODELAY has to be set.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Writes {
    /// Not yet.
    None,
    /// Once.
    One,
    /// More often; TCP_NODELAY is set.
    Many,
}

/// One client, and the server it was given.
#[derive(Debug)]
pub(super) struct Session {
    /// Where it stands.
    pub(super) machine: Machine,
    /// The client's socket.
    pub(super) client: OwnedFd,
    /// The socket of the server that is dialled or connected.
    pub(super) socket: Option<OwnedFd>,
    /// What it carries.
    pub(super) load: Load,
    /// Which events are of `socket`.
    pub(super) lane: Lane,
    /// The place at the server that `socket` belongs to.
    pub(super) server: Option<Seat>,
    /// Where it came in.
    pub(super) origin: Rc<Origin>,
    /// Its number among the sessions of this worker.
    pub(super) count: u64,
    /// The client's address.
    pub(super) address: Peer,
    /// When it was accepted.
    pub(super) accepted: Moment,
    /// From accepted to connected, in microseconds.
    pub(super) connected_after: Option<std::num::NonZeroU32>,
    /// From accepted to the server's first byte, in microseconds.
    pub(super) first_byte_after: Option<std::num::NonZeroU32>,
    /// When its entry in the wheel fires.
    pub(super) timer: Option<Tick>,
    /// Dials made.
    pub(super) attempts: u16,
    /// Whether it waits for another turn.
    pub(super) queued: bool,
    /// Writes to the server's socket.
    pub(super) writes: Writes,
}

/// How a turn ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Turn {
    /// There is nothing to do until a poll reports something.
    Rests,
    /// There is more to do, and others go first.
    Again,
    /// The relay is over.
    Over(Over),
    /// The server has closed without having said a byte, and can be replaced.
    Lost,
}

/// What a session borrows from its worker for a turn.
#[derive(Debug)]
pub(super) struct Tools {
    /// What is read into.
    pub(super) scratch: Box<[u8]>,
    /// Pipes and buffers.
    pub(super) stores: Stores,
    /// The worker's clock.
    pub(super) now: Duration,
    /// When a small request was last carried.
    pub(super) small: Option<Duration>,
    /// Bytes that the queue may still move in this round.
    pub(super) round: u32,
}

impl Tools {
    /// A round of the queue begins.
    pub(super) fn begin_round(&mut self) {
        self.round = if self.has_company() { ROUND } else { u32::MAX };
    }

    /// Bytes that a session may move in one turn.
    fn turn(&self) -> u32 {
        if self.has_company() {
            TURN
        } else {
            TURN_OF_BULK
        }
    }

    /// Whether small requests are about.
    fn has_company(&self) -> bool {
        let since = self.small.map(|small| self.now.saturating_sub(small));
        since.is_some_and(|since| since < COMPANY)
    }
}

impl Session {
    /// Performs the relay's steps until there is nothing to do or the turn is used up.
    pub(super) fn turn(&mut self, tools: &mut Tools) -> Turn {
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
                Step::Over(over) => return Turn::Over(over),
            }
        }
        Turn::Again
    }

    /// The next server to dial, of the backend as it stands.
    ///
    /// # Errors
    /// The end, when no server is left or the dial budget is used up, or that it is to wait.
    pub(super) fn next_dial(
        &mut self,
        backend: &Backend,
        now: Duration,
    ) -> Result<Attempt, Refusal> {
        let elapsed = self.elapsed(now);
        match &mut self.load {
            Load::Dial { dials, lot, .. } => dials.next(backend, *lot, elapsed),
            Load::Relay { .. } => Err(Refusal::Over(End::DialFailed)),
        }
    }

    /// Whether another server can take over after this end, with nobody the wiser: it is
    /// the server that failed, and nothing it was given is lost or was answered.
    #[must_use]
    pub(super) fn can_redial(&self, over: Over, now: Duration) -> bool {
        let Over::Broken {
            by: Side::Server,
            fault,
        } = over
        else {
            return false;
        };
        match &self.load {
            Load::Relay { .. } => false,
            Load::Dial { kept: Some(_), .. } => true,
            Load::Dial {
                kept: None, dials, ..
            } => {
                let spent = dials.spent(self.elapsed(now));
                fault == Fault::Reset && spent < self.origin.backend.dial.time
            }
        }
    }

    /// Whether the server has just been given all of a ClientHello, and nothing else.
    #[must_use]
    pub(super) fn has_asked(&self) -> bool {
        let Load::Dial {
            kept: Some(kept), ..
        } = &self.load
        else {
            return false;
        };
        let whole = Extent::Whole(kept.all().len());
        kept.rest().is_empty() && hello::extent(kept.all()) == whole
    }

    /// Whether the client has sent something that the server has not acknowledged.
    #[must_use]
    pub(super) fn is_owed(&mut self) -> bool {
        let queued = self.socket.as_ref().map_or(0, tcp_info::unacknowledged);
        queued > 0 || self.machine.relay().pending(Flow::Up) > 0
    }

    /// Bytes of the client that a server is still to be given, all of them anew.
    pub(super) fn rewind(&mut self) -> u32 {
        let Load::Dial {
            kept: Some(kept), ..
        } = &mut self.load
        else {
            return 0;
        };
        kept.rewind();
        u32::try_from(kept.all().len()).unwrap_or(u32::MAX)
    }

    /// Tells the server who the client is, where that is configured. The first bytes of a
    /// connection always fit.
    ///
    /// # Errors
    /// The server has gone already.
    pub(super) fn introduce(&mut self) -> rustix::io::Result<()> {
        let (Some(version), Some(socket)) =
            (self.origin.backend.send_proxy, &self.socket)
        else {
            return Ok(());
        };
        let header = match report::own_address(&self.client) {
            Some(destination) => Header::Tcp {
                source: self.address.address(),
                destination,
            },
            None => Header::Local,
        };
        let bytes = proxy::emit(version, &header);
        match rustix::net::send(socket, &bytes, rustix::net::SendFlags::NOSIGNAL) {
            Ok(sent) if sent == bytes.len() => {
                // What comes next must not wait until the header is acknowledged.
                if self.writes == Writes::None {
                    self.writes = Writes::One;
                }
                Ok(())
            }
            Ok(_) => Err(rustix::io::Errno::PIPE),
            Err(errno) => Err(errno),
        }
    }

    /// How long ago it was accepted.
    #[must_use]
    pub(super) fn elapsed(&self, now: Duration) -> Duration {
        self.accepted.elapsed(now)
    }

    /// Microseconds since it was accepted.
    #[must_use]
    pub(super) fn age(&self, now: Duration) -> Option<std::num::NonZeroU32> {
        let age = self.elapsed(now).as_micros();
        std::num::NonZeroU32::new(u32::try_from(age).unwrap_or(u32::MAX).max(1))
    }

    /// Bytes given to the server and to the client.
    #[must_use]
    pub(super) const fn bytes(&self) -> (u64, u64) {
        match &self.load {
            Load::Dial { kept, .. } => match kept {
                Some(kept) => (kept.written(), 0),
                None => (0, 0),
            },
            Load::Relay { sent, received, .. } => (*sent, *received),
        }
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

impl Load {
    fn held(&mut self, flow: Flow) -> Option<&mut Held> {
        match (self, flow) {
            (Self::Dial { .. }, _) => None,
            (Self::Relay { up, .. }, Flow::Up) => Some(up),
            (Self::Relay { down, .. }, Flow::Down) => Some(down),
        }
    }
}

/// Whether another server may be given these first bytes, too: a ClientHello or the beginning
/// of one. Nothing else may be given twice, least of all a request that does something.
fn can_be_given_again(bytes: &[u8]) -> bool {
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
        Gave::Part { left } => len.saturating_sub(left),
        Gave::Failed(_) => 0,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// `docs/life-of-a-connection.md` promises it.
    #[test]
    fn an_idle_connection_costs_at_most_its_budget() {
        let slot = crate::engine::slab::Slab::<Session>::SLOT;
        assert!(slot <= 224, "{slot} bytes");
    }

    fn tools(now: Duration, small: Option<Duration>) -> Tools {
        Tools {
            scratch: Box::default(),
            stores: Stores::new(crate::engine::pipes::Pipes::new(0)),
            now,
            small,
            round: 0,
        }
    }

    #[test]
    fn turns_and_rounds_are_short_in_the_company_of_small_requests() {
        let now = COMPANY * 3;
        for (small, turn, round) in [
            (None, TURN_OF_BULK, u32::MAX),
            (Some(now), TURN, ROUND),
            (Some(now - COMPANY + Duration::from_nanos(1)), TURN, ROUND),
            (Some(now - COMPANY), TURN_OF_BULK, u32::MAX),
        ] {
            let mut tools = tools(now, small);
            tools.begin_round();
            assert_eq!((tools.turn(), tools.round), (turn, round), "{small:?}");
        }
    }
}
