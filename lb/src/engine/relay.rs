//! The relay of one session as a pure machine: what is known of its two sockets, and the one
//! thing to do next.
//!
//! A driver asks [`Relay::next`], performs the [`Step`], and says how it went. Nothing here
//! reads a clock, owns a socket or sees a byte. Readiness comes from edge-triggered polling,
//! so it is remembered until an attempt shows that it is used up; an end of file that was
//! announced stays announced (see [`Relay::ready`]) until it has been read.

/// One of the two peers of a session.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Side {
    /// Whoever connected to the frontend.
    Client,
    /// The server that was dialled.
    Server,
}

/// One direction of a session.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Flow {
    /// From the client to the server.
    Up,
    /// From the server to the client.
    Down,
}

impl Flow {
    /// The flow that reads from `side`.
    #[must_use]
    pub(super) const fn from(side: Side) -> Self {
        match side {
            Side::Client => Self::Up,
            Side::Server => Self::Down,
        }
    }

    /// The side that this flow reads from.
    #[must_use]
    pub(super) const fn source(self) -> Side {
        match self {
            Self::Up => Side::Client,
            Self::Down => Side::Server,
        }
    }

    /// The side that this flow writes to.
    #[must_use]
    pub(super) const fn destination(self) -> Side {
        self.opposite().source()
    }

    /// The other direction.
    #[must_use]
    pub(super) const fn opposite(self) -> Self {
        match self {
            Self::Up => Self::Down,
            Self::Down => Self::Up,
        }
    }
}

/// How bytes cross: through the worker's scratch buffer or through a pipe in the kernel.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Via {
    /// `recv` and `send`.
    Copy,
    /// `splice` into a pipe and out of it.
    Pipe,
}

/// What a poll reported about one socket.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[expect(
    clippy::struct_excessive_bools,
    reason = "the four bits that epoll reports"
)]
pub(super) struct Ready {
    /// There may be something to read.
    pub(super) readable: bool,
    /// There may be room to write.
    pub(super) writable: bool,
    /// The peer will send no more: an end of file follows the bytes that are queued.
    pub(super) hup: bool,
    /// The socket has an error; the next call on it says which.
    pub(super) error: bool,
}

/// Why a socket failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Fault {
    /// The peer reset the connection, or was written to after it had closed.
    Reset,
    /// The kernel gave the peer up: keepalive or unacknowledged data.
    TimedOut,
    /// The network said that the peer cannot be reached.
    Unreachable,
    /// Any other error.
    Other,
}

/// What a read took from a flow's source.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Took {
    /// Some bytes; `full` when the read was filled, so that more may be waiting.
    Bytes {
        /// How many.
        len: u32,
        /// Whether the read ended because it was full.
        full: bool,
    },
    /// Nothing to read yet.
    Empty,
    /// The source has ended.
    Eof,
    /// The source failed.
    Failed(Fault),
}

/// What a write gave to a flow's destination.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Gave {
    /// Everything that there was.
    All,
    /// The destination took no more; `left` bytes are pending.
    Part {
        /// How many bytes are pending.
        left: u32,
    },
    /// The destination failed.
    Failed(Fault),
}

/// How a relay is over.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Over {
    /// Both directions ended in order; `first` is the side that ended first.
    Closed {
        /// Who ended first.
        first: Side,
    },
    /// One side failed; the other is to see a reset, not an end of file.
    Broken {
        /// Who failed.
        by: Side,
        /// How.
        fault: Fault,
    },
}

/// The one thing to do next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Step {
    /// Read once from the source and write that to the destination; answer with
    /// [`Relay::carried`].
    Carry {
        /// In which direction.
        flow: Flow,
        /// In which way.
        via: Via,
    },
    /// Write what is pending; answer with [`Relay::flushed`].
    Flush(Flow),
    /// Tell the destination that no more comes; answer with [`Relay::shut`].
    Shut(Flow),
    /// Ask the socket for its error, which no read will meet; answer with
    /// [`Relay::failed`].
    Inquire(Side),
    /// Nothing, until a poll reports something.
    Wait,
    /// Close both sockets.
    Over(Over),
}

/// Full reads in a row after which a flow is bulk: what fits into one read never is.
const BULK_AFTER: u8 = 2;
/// A spliced read below this many bytes speaks for copying: splice costs a call more per
/// chunk and pays from about four pages on.
const SMALL_SPLICE: u32 = 16 * 1024;
/// Small spliced reads in a row after which a flow is no longer bulk. More than a few,
/// because a bulk stream that keeps up with its sender also sees small chunks.
const SMALL_AFTER: u8 = 16;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Course {
    /// Carrying.
    Open,
    /// The source ended; what is pending is still to be written.
    Ended,
    /// The destination knows that no more comes, or can take no more.
    Finished,
}

#[derive(Clone, Copy, Debug)]
struct Half {
    course: Course,
    via: Via,
    /// Reads in a row that speak for the other way of carrying.
    streak: u8,
    /// Bytes read and not yet written.
    pending: u32,
}

impl Half {
    const NEW: Self = Self {
        course: Course::Open,
        via: Via::Copy,
        streak: 0,
        pending: 0,
    };

    const fn finished(&self) -> bool {
        matches!(self.course, Course::Finished)
    }

    const fn drained(&self) -> bool {
        matches!(self.course, Course::Ended) && self.pending == 0
    }

    /// Notes one read, and changes the way of carrying when enough of them ask for it.
    fn weigh(&mut self, len: u32, full: bool) {
        let (speaks_for_other, enough, other) = match self.via {
            Via::Copy => (full, BULK_AFTER, Via::Pipe),
            Via::Pipe => (len < SMALL_SPLICE, SMALL_AFTER, Via::Copy),
        };
        self.streak = if speaks_for_other { self.streak + 1 } else { 0 };
        if self.streak >= enough {
            self.via = other;
            self.streak = 0;
        }
    }
}

#[derive(Clone, Copy, Debug)]
struct Socket {
    readable: bool,
    writable: bool,
    /// Sticky: a short read uses up readiness, yet the end of file behind it makes no edge.
    hup: bool,
    /// Sticky: an error was reported, and no read or write has met it yet.
    error: bool,
}

impl Socket {
    const NEW: Self = Self {
        readable: false,
        writable: false,
        hup: false,
        error: false,
    };
}

/// The relay of one session.
#[derive(Clone, Copy, Debug)]
pub(super) struct Relay {
    client: Socket,
    server: Socket,
    up: Half,
    down: Half,
    /// Which flow is looked at first, so that neither starves the other.
    turn: Flow,
    first: Option<Side>,
    broken: Option<(Side, Fault)>,
}

impl Default for Relay {
    fn default() -> Self {
        Self::new()
    }
}

impl Relay {
    /// A relay that knows nothing yet of its sockets.
    #[must_use]
    pub(super) const fn new() -> Self {
        Self {
            client: Socket::NEW,
            server: Socket::NEW,
            up: Half::NEW,
            down: Half::NEW,
            // A server that is gone already is noticed before it is given anything.
            turn: Flow::Down,
            first: None,
            broken: None,
        }
    }

    /// Notes what a poll reported. Readiness only grows here; attempts take it away.
    pub(super) fn ready(&mut self, side: Side, ready: Ready) {
        let socket = self.socket(side);
        socket.readable |= ready.readable | ready.hup | ready.error;
        socket.writable |= ready.writable | ready.error;
        socket.hup |= ready.hup;
        socket.error |= ready.error;
    }

    /// Begins anew with another server, before it has said anything; `kept` bytes of the
    /// client are to be given to it. Of the client is kept what makes no further edge; that
    /// it may be readable or writable is found out.
    pub(super) fn restart(&mut self, kept: u32) {
        let Socket { hup, error, .. } = self.client;
        *self = Self {
            client: Socket {
                readable: true,
                writable: true,
                hup,
                error,
            },
            up: Half {
                pending: kept,
                ..Half::NEW
            },
            ..Self::new()
        };
    }

    /// Bytes that were read from the flow's source and not yet written.
    #[must_use]
    pub(super) const fn pending(&self, flow: Flow) -> u32 {
        self.half_ref(flow).pending
    }

    /// Whether a flow carries more than small requests and their answers.
    #[must_use]
    pub(super) fn is_bulk(&self) -> bool {
        let bulk = |half: &Half| half.via == Via::Pipe && !half.finished();
        bulk(&self.up) || bulk(&self.down)
    }

    /// The one thing to do next.
    #[must_use]
    pub(super) fn next(&self) -> Step {
        let first = self.turn;
        if let Some(step) = self
            .step_of(first)
            .or_else(|| self.step_of(first.opposite()))
        {
            return step;
        }
        if let Some(side) = self.unmet_error() {
            return Step::Inquire(side);
        }
        if self.over() {
            Step::Over(self.verdict())
        } else {
            Step::Wait
        }
    }

    /// How a [`Step::Carry`] went. `gave` counts only when bytes were taken.
    pub(super) fn carried(&mut self, flow: Flow, via: Via, took: Took, gave: Gave) {
        self.turn = flow.opposite();
        match took {
            Took::Bytes { len, full } => {
                let source = self.socket(flow.source());
                // A splice ends short when the pipe is out of slots, too, and an announced end
                // of file makes no further edge: in both cases only a next read can tell.
                source.readable = full || source.hup || via == Via::Pipe;
                if via == self.half(flow).via {
                    self.half(flow).weigh(len, full);
                }
                self.gave(flow, gave);
            }
            Took::Empty => self.socket(flow.source()).readable = false,
            Took::Eof => self.ended(flow),
            Took::Failed(fault) => self.source_failed(flow, fault),
        }
    }

    /// How a [`Step::Flush`] went.
    pub(super) fn flushed(&mut self, flow: Flow, gave: Gave) {
        self.gave(flow, gave);
    }

    /// A [`Step::Shut`] was performed.
    pub(super) fn shut(&mut self, flow: Flow) {
        self.half(flow).course = Course::Finished;
    }

    /// The answer to [`Step::Inquire`].
    pub(super) fn failed(&mut self, side: Side, fault: Fault) {
        self.socket(side).error = false;
        self.broken.get_or_insert((side, fault));
        self.drop_half(Flow::from(side).opposite());
        if side == Side::Client {
            self.drop_half(Flow::Up);
        }
    }

    /// The side with an error that nothing else will come upon: its flow has ended, or it is
    /// a client whose bytes a server does not take, which nobody will ask for any more. The
    /// last words of a server are still delivered, however slowly its client reads.
    fn unmet_error(&self) -> Option<Side> {
        let server = self.server.error && !matches!(self.down.course, Course::Open);
        let client = self.client.error;
        client
            .then_some(Side::Client)
            .or(server.then_some(Side::Server))
    }

    fn step_of(&self, flow: Flow) -> Option<Step> {
        let half = self.half_ref(flow);
        let writable = self.socket_ref(flow.destination()).writable;
        if half.finished() {
            return None;
        }
        if half.pending > 0 {
            return writable.then_some(Step::Flush(flow));
        }
        match half.course {
            Course::Open => (writable && self.socket_ref(flow.source()).readable)
                .then_some(Step::Carry {
                    flow,
                    via: half.via,
                }),
            // A close follows when nothing else is left: it says the same in one call less.
            Course::Ended => (!self.over()).then_some(Step::Shut(flow)),
            Course::Finished => None,
        }
    }

    /// Nothing is left to carry: closing both sockets says all that is left to say.
    const fn over(&self) -> bool {
        (self.up.finished() || self.up.drained())
            && (self.down.finished() || self.down.drained())
    }

    fn verdict(&self) -> Over {
        match (self.broken, self.first) {
            (Some((by, fault)), _) => Over::Broken { by, fault },
            (None, Some(first)) => Over::Closed { first },
            (None, None) => Over::Closed {
                first: Side::Client,
            },
        }
    }

    fn gave(&mut self, flow: Flow, gave: Gave) {
        match gave {
            Gave::All => self.half(flow).pending = 0,
            Gave::Part { left } => {
                self.half(flow).pending = left;
                self.socket(flow.destination()).writable = false;
            }
            Gave::Failed(fault) => self.destination_failed(flow, fault),
        }
    }

    fn ended(&mut self, flow: Flow) {
        self.half(flow).course = Course::Ended;
        self.first.get_or_insert(flow.source());
    }

    /// The source is gone: what it sent is still delivered, what it was to get is dropped.
    fn source_failed(&mut self, flow: Flow, fault: Fault) {
        self.broken.get_or_insert((flow.source(), fault));
        self.socket(flow.source()).error = false;
        self.half(flow).course = Course::Ended;
        self.drop_half(flow.opposite());
    }

    /// The destination takes no more: what it sent before is still read to its end.
    fn destination_failed(&mut self, flow: Flow, fault: Fault) {
        self.broken.get_or_insert((flow.destination(), fault));
        self.drop_half(flow);
        let destination = self.socket(flow.destination());
        destination.readable = true;
        destination.hup = true;
        destination.error = false;
    }

    fn drop_half(&mut self, flow: Flow) {
        let half = self.half(flow);
        half.course = Course::Finished;
        half.pending = 0;
    }

    fn socket(&mut self, side: Side) -> &mut Socket {
        match side {
            Side::Client => &mut self.client,
            Side::Server => &mut self.server,
        }
    }

    const fn socket_ref(&self, side: Side) -> &Socket {
        match side {
            Side::Client => &self.client,
            Side::Server => &self.server,
        }
    }

    fn half(&mut self, flow: Flow) -> &mut Half {
        match flow {
            Flow::Up => &mut self.up,
            Flow::Down => &mut self.down,
        }
    }

    const fn half_ref(&self, flow: Flow) -> &Half {
        match flow {
            Flow::Up => &self.up,
            Flow::Down => &self.down,
        }
    }
}

#[cfg(test)]
#[path = "relay_model.rs"]
mod model;
