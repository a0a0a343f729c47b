//! The relay of one session as a pure machine: what is known of its two sockets, and the one
//! thing to do next.
//!
//! A driver asks [`Relay::next`], performs the [`Step`], and says how it went. Nothing here
//! reads a clock, owns a socket or sees a byte. Readiness comes from edge-triggered polling,
//! so it is remembered until an attempt shows that it is used up; an end of file that was
//! announced stays announced (see [`Relay::ready`]) until it has been read.

mod words;

use serde::{Deserialize, Serialize};

pub(super) use words::{Fault, Flow, Gave, Over, Ready, Side, Step, Took, Via};

/// Full reads in a row after which a flow is bulk: what fits into one read never is.
const BULK_AFTER: u8 = 2;
/// A spliced read below this many bytes speaks for copying: splice costs a call more per
/// chunk and pays from about four pages on.
const SMALL_SPLICE: u32 = 16 * 1024;
/// Small spliced reads in a row after which a flow is no longer bulk. More than a few,
/// because a bulk stream that keeps up with its sender also sees small chunks.
const SMALL_AFTER: u8 = 16;

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
enum Course {
    /// Carrying.
    Open,
    /// The source ended; what is pending is still to be written.
    Ended,
    /// The destination knows that no more comes, or can take no more.
    Finished,
}

#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
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

    /// What is known before the first report of another poll. That it takes something is found
    /// out: an end of file goes on to a destination that is full, for which no report comes.
    const fn anew() -> Self {
        Self {
            writable: true,
            ..Self::NEW
        }
    }
}

/// The relay of one session. What is known of its sockets is not written down: a poll that
/// begins to watch them says all of it anew.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
pub(super) struct Relay {
    #[serde(skip, default = "Socket::anew")]
    client: Socket,
    #[serde(skip, default = "Socket::anew")]
    server: Socket,
    up: Half,
    down: Half,
    /// Which flow is looked at first, so that neither starves the other.
    turn: Flow,
    first: Option<Side>,
    broken: Option<(Side, Fault)>,
    /// Memory was missing: another program's poll says all anew, which tries it again.
    #[serde(skip)]
    is_starved: bool,
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
            is_starved: false,
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
        if self.is_starved {
            return Step::Rest;
        }
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

    /// A [`Step::Rest`] is over: what had no memory is tried again.
    pub(super) const fn rested(&mut self) {
        self.is_starved = false;
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
            Took::Starved => self.is_starved = true,
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
            Gave::Starved { left } => {
                self.half(flow).pending = left;
                self.is_starved = true;
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
mod model;
