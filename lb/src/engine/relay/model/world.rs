//! The reference: two sockets of a kernel, what was sent, and what should have come of it.

use super::super::*;

/// One socket, seen from the relay, and the peer behind it.
#[derive(Debug, Default)]
pub(super) struct Socket {
    /// Bytes that the peer has sent and the relay has not read.
    pub(super) inbox: u32,
    /// The peer has sent its end.
    pub(super) fin: bool,
    /// The peer has reset: told once by an error, and an end of file after that.
    pub(super) reset: bool,
    pub(super) error_told: bool,
    /// Room for writes before it blocks.
    pub(super) room: u32,
    /// Bytes that the peer was given.
    pub(super) given: u32,
    /// The peer was given an end of file.
    pub(super) given_fin: bool,
    /// A write found no room: the next room makes an edge.
    pub(super) wants_room: bool,
    /// So many calls find no memory. What was ready stays so, without an edge.
    pub(super) starves: u32,
    /// The edge that epoll has not reported yet.
    pub(super) edge: Ready,
}

impl Socket {
    pub(super) fn read(&mut self, most: u32) -> Result<u32, Took> {
        if self.starves() {
            return Err(Took::Starved);
        }
        if self.inbox > 0 {
            let len = self.inbox.min(most);
            self.inbox -= len;
            return Ok(len);
        }
        if self.reset && !self.error_told {
            self.error_told = true;
            return Err(Took::Failed(Fault::Reset));
        }
        Err(if self.fin || self.reset {
            Took::Eof
        } else {
            Took::Empty
        })
    }

    pub(super) fn starves(&mut self) -> bool {
        let does = self.starves > 0;
        self.starves = self.starves.saturating_sub(1);
        does
    }

    pub(super) fn write(&mut self, len: u32) -> Gave {
        assert!(!self.given_fin, "written to after its end of file");
        if self.starves() {
            return Gave::Starved { left: len };
        }
        if self.reset {
            self.error_told = true;
            return Gave::Failed(Fault::Reset);
        }
        let taken = len.min(self.room);
        self.room -= taken;
        self.given += taken;
        if taken == len {
            return Gave::All;
        }
        self.wants_room = true;
        Gave::Part { left: len - taken }
    }
}

#[derive(Debug)]
pub(super) struct World {
    pub(super) client: Socket,
    pub(super) server: Socket,
    pub(super) relay: Relay,
    /// Bytes sent by client and server so far.
    pub(super) sent: (u32, u32),
    pub(super) over: Option<Over>,
    /// How much a read takes at most.
    pub(super) read: u32,
}

/// What the peers, or the machine's load, do next.
#[derive(Clone, Debug)]
pub(super) enum Deed {
    Sends {
        client: bool,
        len: u32,
    },
    Ends {
        client: bool,
    },
    Resets {
        client: bool,
    },
    TakesMore {
        client: bool,
        len: u32,
    },
    /// The kernel has no memory for so many calls.
    Starves {
        client: bool,
        calls: u32,
    },
    /// The relay is written down and read again, and another poll watches its sockets.
    Freeze,
    /// The poll reports to the relay, which runs this many steps at most.
    Turn {
        steps: u8,
    },
}

impl World {
    pub(super) fn new(read: u32) -> Self {
        let writable = Ready {
            writable: true,
            ..Ready::default()
        };
        let socket = || Socket {
            edge: writable,
            room: 3,
            ..Socket::default()
        };
        Self {
            client: socket(),
            server: socket(),
            relay: Relay::new(),
            sent: (0, 0),
            over: None,
            read,
        }
    }

    pub(super) fn socket(&mut self, side: Side) -> &mut Socket {
        match side {
            Side::Client => &mut self.client,
            Side::Server => &mut self.server,
        }
    }

    pub(super) fn perform(&mut self, deed: &Deed) {
        let side = |client: &bool| if *client { Side::Client } else { Side::Server };
        match deed {
            Deed::Sends { client, len } => {
                let socket = self.socket(side(client));
                if !socket.fin && !socket.reset {
                    socket.inbox += len;
                    socket.edge.readable = true;
                    let sent = if *client {
                        &mut self.sent.0
                    } else {
                        &mut self.sent.1
                    };
                    *sent += len;
                }
            }
            Deed::Ends { client } => {
                let socket = self.socket(side(client));
                if !socket.reset {
                    socket.fin = true;
                    socket.edge.readable = true;
                    socket.edge.hup = true;
                }
            }
            Deed::Resets { client } => {
                let socket = self.socket(side(client));
                socket.reset = true;
                socket.edge = Ready {
                    readable: true,
                    writable: true,
                    hup: true,
                    error: true,
                };
            }
            Deed::TakesMore { client, len } => {
                let socket = self.socket(side(client));
                socket.room += len;
                socket.edge.writable |= std::mem::take(&mut socket.wants_room);
            }
            Deed::Starves { client, calls } => self.socket(side(client)).starves += calls,
            Deed::Freeze => self.freeze(),
            Deed::Turn { steps } => self.turn(*steps),
        }
    }

    pub(super) fn freeze(&mut self) {
        let written = serde_json::to_string(&self.relay).unwrap();
        self.relay = serde_json::from_str(&written).unwrap();
        for side in [Side::Client, Side::Server] {
            let socket = self.socket(side);
            let is_full = socket.room == 0 && !socket.reset;
            socket.wants_room = is_full;
            socket.edge = Ready {
                readable: socket.inbox > 0 || socket.fin || socket.reset,
                writable: !is_full,
                hup: socket.fin || socket.reset,
                error: socket.reset && !socket.error_told,
            };
        }
    }

    pub(super) fn turn(&mut self, steps: u8) {
        for side in [Side::Client, Side::Server] {
            let edge = std::mem::take(&mut self.socket(side).edge);
            self.relay.ready(side, edge);
        }
        self.relay.rested();
        for _ in 0..steps {
            if self.over.is_some() || !self.step() {
                return;
            }
        }
    }

    pub(super) fn step(&mut self) -> bool {
        match self.relay.next() {
            Step::Wait | Step::Rest => return false,
            Step::Inquire(side) => {
                let socket = self.socket(side);
                assert!(socket.reset && !socket.error_told, "asked for no error");
                socket.error_told = true;
                self.relay.failed(side, Fault::Reset);
            }
            Step::Over(over) => self.over = Some(over),
            Step::Shut(flow) => {
                let to = self.socket(flow.destination());
                assert!(!to.given_fin, "two ends of file");
                to.given_fin = true;
                self.relay.shut(flow);
            }
            Step::Flush(flow) => {
                let len = self.relay.pending(flow);
                assert!(len > 0, "a flush of nothing");
                let gave = self.socket(flow.destination()).write(len);
                self.relay.flushed(flow, gave);
            }
            Step::Carry { flow, via } => self.carry(flow, via),
        }
        true
    }

    pub(super) fn carry(&mut self, flow: Flow, via: Via) {
        assert_eq!(
            self.relay.pending(flow),
            0,
            "read although bytes are pending"
        );
        let read = self.read;
        let most = if via == Via::Pipe {
            read * 3 / 2 + 1
        } else {
            read
        };
        match self.socket(flow.source()).read(most) {
            Err(took) => self.relay.carried(flow, via, took, Gave::All),
            Ok(len) => {
                let gave = self.socket(flow.destination()).write(len);
                let took = Took::Bytes {
                    len,
                    full: via == Via::Copy && len == most,
                };
                self.relay.carried(flow, via, took, gave);
            }
        }
    }

    /// Until nothing moves: every event reported, every step taken.
    pub(super) fn settle(&mut self) {
        for _ in 0..10_000 {
            let quiet = [&self.client, &self.server]
                .iter()
                .all(|s| s.edge == Ready::default());
            let idle = matches!(self.relay.next(), Step::Wait);
            if self.over.is_some() || (quiet && idle) {
                return;
            }
            self.turn(u8::MAX);
        }
        panic!("never comes to rest: {self:?}");
    }

    /// What holds at any time of rest.
    pub(super) fn check(&self) {
        let orderly = !self.client.reset && !self.server.reset;
        let given = (self.server.given, self.client.given);
        assert!(
            given.0 <= self.sent.0 && given.1 <= self.sent.1,
            "bytes out of nothing"
        );
        if !orderly {
            return;
        }
        for (from, to, sent) in [
            (&self.client, &self.server, self.sent.0),
            (&self.server, &self.client, self.sent.1),
        ] {
            assert!(
                to.given == sent || to.room == 0,
                "bytes are stuck: {self:?}"
            );
            let ended = to.given_fin || self.over.is_some();
            assert!(!ended || from.fin, "an end of file out of nothing");
            assert!(
                !ended || to.given == sent,
                "an end of file before the last byte"
            );
            assert!(
                ended || !from.fin || to.given < sent,
                "an end of file is lost"
            );
        }
        let both = self.client.fin && self.server.fin && given == self.sent;
        assert_eq!(self.over.is_some(), both, "{self:?}");
    }
}
