//! The relay against a simple reference: two queues of bytes and a kernel that reports edges.
//!
//! The reference knows only what each side was sent, what it should have got, and who closed
//! how. The kernel is as unhelpful as the real one: it reports readiness once, reads stop
//! short when a pipe is out of slots, destinations block anywhere. Whatever happens, when
//! no more event comes, everything that could be delivered has been delivered.

use proptest::prelude::*;

use super::*;

/// One socket, seen from the relay, and the peer behind it.
#[derive(Debug, Default)]
struct Socket {
    /// Bytes that the peer has sent and the relay has not read.
    inbox: u32,
    /// The peer has sent its end.
    fin: bool,
    /// The peer has reset: told once by an error, and an end of file after that.
    reset: bool,
    error_told: bool,
    /// Room for writes before it blocks.
    room: u32,
    /// Bytes that the peer was given.
    given: u32,
    /// The peer was given an end of file.
    given_fin: bool,
    /// A write found no room: the next room makes an edge.
    wants_room: bool,
    /// So many calls find no memory. What was ready stays so, without an edge.
    starves: u32,
    /// The edge that epoll has not reported yet.
    edge: Ready,
}

impl Socket {
    fn read(&mut self, most: u32) -> Result<u32, Took> {
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

    fn starves(&mut self) -> bool {
        let does = self.starves > 0;
        self.starves = self.starves.saturating_sub(1);
        does
    }

    fn write(&mut self, len: u32) -> Gave {
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
struct World {
    client: Socket,
    server: Socket,
    relay: Relay,
    /// Bytes sent by client and server so far.
    sent: (u32, u32),
    over: Option<Over>,
    /// How much a read takes at most.
    read: u32,
}

/// What the peers, or the machine's load, do next.
#[derive(Clone, Debug)]
enum Deed {
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
    fn new(read: u32) -> Self {
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

    fn socket(&mut self, side: Side) -> &mut Socket {
        match side {
            Side::Client => &mut self.client,
            Side::Server => &mut self.server,
        }
    }

    fn perform(&mut self, deed: &Deed) {
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

    fn freeze(&mut self) {
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

    fn turn(&mut self, steps: u8) {
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

    fn step(&mut self) -> bool {
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

    fn carry(&mut self, flow: Flow, via: Via) {
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
    fn settle(&mut self) {
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
    fn check(&self) {
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

fn deed() -> impl Strategy<Value = Deed> {
    prop_oneof![
        6 => (any::<bool>(), 1u32..40).prop_map(|(client, len)| Deed::Sends { client, len }),
        1 => any::<bool>().prop_map(|client| Deed::Ends { client }),
        4 => (any::<bool>(), 1u32..60).prop_map(|(client, len)| Deed::TakesMore { client, len }),
        6 => (0u8..12).prop_map(|steps| Deed::Turn { steps }),
        1 => (any::<bool>(), 1u32..4).prop_map(|(client, calls)| Deed::Starves { client, calls }),
        1 => Just(Deed::Freeze),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(4_000))]

    #[test]
    fn what_was_sent_in_order_arrives_in_order(
        deeds in prop::collection::vec(deed(), 0..60),
        read in 1u32..20,
    ) {
        let mut world = World::new(read);
        for deed in &deeds {
            world.perform(deed);
        }
        world.settle();
        world.check();
        // Both peers take everything and end: nothing may stay behind.
        for client in [true, false] {
            world.perform(&Deed::TakesMore { client, len: 10_000 });
            world.perform(&Deed::Ends { client });
        }
        world.settle();
        world.check();
        prop_assert!(world.over.is_some());
    }

    #[test]
    fn a_reset_ends_it_and_never_looks_orderly(
        before in prop::collection::vec(deed(), 0..40),
        client in any::<bool>(),
        after in prop::collection::vec(deed(), 0..20),
        read in 1u32..20,
    ) {
        let mut world = World::new(read);
        for deed in &before {
            world.perform(deed);
        }
        world.settle();
        prop_assume!(world.over.is_none());
        let half_closed = world.client.fin || world.server.fin;
        world.perform(&Deed::Resets { client });
        for deed in &after {
            world.perform(deed);
        }
        for client in [true, false] {
            world.perform(&Deed::TakesMore { client, len: 10_000 });
        }
        world.settle();
        world.check();
        let by = if client { Side::Client } else { Side::Server };
        let over = world.over;
        prop_assert!(over.is_some(), "a reset is lost: {world:?}");
        prop_assert!(
            over == Some(Over::Broken { by, fault: Fault::Reset }) || half_closed,
            "{over:?}"
        );
    }
}

#[test]
fn a_flow_turns_bulk_after_full_reads_and_back_after_small_ones() {
    let mut relay = Relay::new();
    let ready = Ready {
        readable: true,
        writable: true,
        ..Ready::default()
    };
    relay.ready(Side::Client, ready);
    relay.ready(
        Side::Server,
        Ready {
            writable: true,
            ..Ready::default()
        },
    );
    let via = |relay: &Relay| match relay.next() {
        Step::Carry { via, .. } => via,
        other @ (Step::Flush(_)
        | Step::Shut(_)
        | Step::Inquire(_)
        | Step::Wait
        | Step::Rest
        | Step::Over(_)) => panic!("{other:?}"),
    };
    let read = |relay: &mut Relay, len, full| {
        let way = via(relay);
        relay.carried(Flow::Up, way, Took::Bytes { len, full }, Gave::All);
        relay.ready(Side::Client, ready);
    };
    read(&mut relay, 65_536, true);
    assert_eq!(via(&relay), Via::Copy);
    read(&mut relay, 65_535, false);
    read(&mut relay, 65_536, true);
    assert_eq!(
        via(&relay),
        Via::Copy,
        "one full read in a row is not enough"
    );
    read(&mut relay, 65_536, true);
    assert_eq!(via(&relay), Via::Pipe);
    for _ in 1..SMALL_AFTER {
        read(&mut relay, SMALL_SPLICE - 1, false);
    }
    assert_eq!(via(&relay), Via::Pipe);
    read(&mut relay, SMALL_SPLICE, false);
    for _ in 1..SMALL_AFTER {
        read(&mut relay, SMALL_SPLICE - 1, false);
    }
    assert_eq!(
        via(&relay),
        Via::Pipe,
        "a large read starts the count again"
    );
    read(&mut relay, SMALL_SPLICE - 1, false);
    assert_eq!(via(&relay), Via::Copy);
}
