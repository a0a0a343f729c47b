//! One session as a pure machine: (state, event) → action.
//!
//! ```text
//!   accept ─▶ Dialling ──connected──▶ Relaying ──over──▶ End
//!              │    ▲ └─failed, late─▶ (next server)      ▲
//!              │    └──────────────────────┘              │
//!              └──client gone, no server, cut, kill ──────┘
//! ```
//!
//! What is carried in which order is decided by [`Relay`], which server is dialled by
//! [`crate::pool::Dialling`]; here is only where the session stands. The whole life, with the
//! states that are to come, is drawn in `docs/life-of-a-connection.md`.

use std::time::Duration;

use super::relay::{Fault, Flow, Over, Ready, Relay, Side};
use super::wheel::Tick;
use crate::pool::Failure;
use crate::worker::{End, Which};

/// What happened to a session.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Event {
    /// A poll reported this of the client's socket.
    Client(Ready),
    /// A poll reported this of the server's socket.
    Server(Ready),
    /// The session's entry in the wheel fired.
    Timer(Tick),
    /// The session's server is to lose its connections.
    Cut(Which),
    /// An operator ended it.
    Kill,
    /// The process ends.
    Shutdown,
}

/// What the driver is to do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Action {
    /// Nothing.
    Wait,
    /// This dial came to nothing: close its socket and dial the next server.
    Redial(Failure),
    /// The server is connected: note it, then take a turn.
    Connected,
    /// Perform the relay's steps.
    Turn,
    /// Set what only a session that lasts needs: keepalive towards the server.
    Settle,
    /// Come back at this tick.
    Sleep(Tick),
    /// Close both sockets.
    End(End),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Phase {
    /// It waits for a place at a server until the deadline.
    Waiting { deadline: Tick },
    /// A server is being dialled until the deadline.
    Dialling { deadline: Tick },
    /// Bytes may cross. `settled` once the socket options of a lasting session are set.
    Relaying { settled: bool },
}

/// Whether a session waits for a place.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Waits {
    /// It is in the line.
    Yes,
    /// A server is dialled or connected.
    No,
}

/// Where one session stands.
#[derive(Clone, Copy, Debug)]
pub(super) struct Machine {
    phase: Phase,
    relay: Relay,
    /// The client has sent something since the server last did.
    unanswered: bool,
    /// When bytes last crossed, in either direction.
    active: Tick,
}

impl Machine {
    /// A session whose server is to be dialled.
    #[must_use]
    pub(super) const fn new(now: Tick) -> Self {
        Self {
            phase: Phase::Dialling { deadline: now },
            relay: Relay::new(),
            unanswered: false,
            active: now,
        }
    }

    /// It waits for a place at a server, at most until `deadline`.
    pub(super) const fn waiting(&mut self, deadline: Tick) {
        self.phase = Phase::Waiting { deadline };
    }

    /// Whether it waits for a place.
    #[must_use]
    pub(super) const fn waits(&self) -> Waits {
        match self.phase {
            Phase::Waiting { .. } => Waits::Yes,
            Phase::Dialling { .. } | Phase::Relaying { .. } => Waits::No,
        }
    }

    /// A dial began; it is given up at `deadline`.
    pub(super) fn dialling(&mut self, deadline: Tick) {
        self.phase = Phase::Dialling { deadline };
        self.relay.restart();
    }

    /// The relay, whose steps are performed once the server is connected.
    pub(super) fn relay(&mut self) -> &mut Relay {
        &mut self.relay
    }

    /// Bytes have crossed in this direction.
    pub(super) fn crossed(&mut self, flow: Flow, now: Tick) {
        self.unanswered = flow == Flow::Up;
        self.active = now;
    }

    /// What an event asks for. `idle` is the configured idle time of the backend.
    pub(super) fn on(&mut self, event: Event, idle: Option<Duration>) -> Action {
        match (event, self.phase) {
            (Event::Client(ready), phase) => self.on_client(ready, phase),
            (Event::Server(ready), phase) => self.on_server(ready, phase),
            (Event::Timer(now), Phase::Waiting { deadline }) if deadline.is_due(now) => {
                Action::End(End::QueueTimeout)
            }
            (Event::Timer(_), Phase::Waiting { deadline }) => Action::Sleep(deadline),
            (Event::Timer(now), Phase::Dialling { deadline }) if deadline.is_due(now) => {
                Action::Redial(Failure::TimedOut)
            }
            (Event::Timer(_), Phase::Dialling { deadline }) => Action::Sleep(deadline),
            (Event::Timer(now), Phase::Relaying { settled }) => {
                self.on_timer(now, settled, idle)
            }
            // A dial is never cut: it fails or times out, and goes on to the next server.
            (Event::Cut(_), Phase::Waiting { .. } | Phase::Dialling { .. }) => {
                Action::Wait
            }
            (Event::Cut(which), Phase::Relaying { .. }) => self.on_cut(which),
            (Event::Kill, _) => Action::End(End::Killed),
            (Event::Shutdown, _) => Action::End(End::Shutdown),
        }
    }

    fn on_client(&mut self, ready: Ready, phase: Phase) -> Action {
        self.relay.ready(Side::Client, ready);
        match phase {
            // An end of file alone may be a half-close: the server is still to hear of it.
            Phase::Waiting { .. } | Phase::Dialling { .. } if ready.error => {
                Action::End(End::ClientAborted)
            }
            Phase::Waiting { .. } | Phase::Dialling { .. } => Action::Wait,
            Phase::Relaying { .. } => Action::Turn,
        }
    }

    fn on_server(&mut self, ready: Ready, phase: Phase) -> Action {
        match phase {
            // The socket of a dial that has failed is closed before its session waits.
            Phase::Waiting { .. } => Action::Wait,
            Phase::Dialling { .. } if ready.error => Action::Redial(Failure::Refused),
            Phase::Dialling { .. } if !ready.writable => Action::Wait,
            Phase::Dialling { .. } => {
                self.phase = Phase::Relaying { settled: false };
                self.relay.ready(Side::Server, ready);
                Action::Connected
            }
            Phase::Relaying { .. } => {
                self.relay.ready(Side::Server, ready);
                Action::Turn
            }
        }
    }

    fn on_timer(&mut self, now: Tick, settled: bool, idle: Option<Duration>) -> Action {
        if !settled {
            self.phase = Phase::Relaying { settled: true };
            return Action::Settle;
        }
        match idle.map(|idle| self.active.after(idle)) {
            None => Action::Wait,
            Some(end) if end.is_due(now) => Action::End(End::Idle),
            Some(end) => Action::Sleep(end),
        }
    }

    const fn on_cut(&self, which: Which) -> Action {
        match which {
            Which::All => Action::End(End::of_cut(which)),
            Which::Unanswered if self.unanswered => Action::End(End::of_cut(which)),
            Which::Unanswered => Action::Wait,
        }
    }
}

/// The end that a relay's verdict amounts to.
#[must_use]
pub(super) const fn end_of(over: Over) -> End {
    match over {
        Over::Closed {
            first: Side::Client,
        } => End::ClientClosed,
        Over::Closed {
            first: Side::Server,
        } => End::ServerClosed,
        Over::Broken {
            by: Side::Client,
            fault,
        } => match fault {
            Fault::Reset | Fault::Other => End::ClientReset,
            Fault::TimedOut | Fault::Unreachable => End::ClientGone,
        },
        Over::Broken {
            by: Side::Server,
            fault,
        } => match fault {
            Fault::Reset | Fault::Other => End::ServerReset,
            Fault::TimedOut | Fault::Unreachable => End::ServerGone,
        },
    }
}

/// Whether the peers are to see a reset: all but an orderly close tells them that bytes may
/// be missing.
#[must_use]
pub(super) const fn resets(end: End) -> bool {
    !matches!(end, End::ClientClosed | End::ServerClosed)
}

#[cfg(test)]
mod tests {
    use super::*;

    const IDLE: Duration = Duration::from_secs(10);
    const READY: Ready = Ready {
        readable: false,
        writable: false,
        hup: false,
        error: false,
    };
    const WRITABLE: Ready = Ready {
        writable: true,
        ..READY
    };
    const ENDED: Ready = Ready {
        readable: true,
        hup: true,
        ..READY
    };
    const FAILED: Ready = Ready {
        readable: true,
        writable: true,
        hup: true,
        error: true,
    };

    fn at(millis: u64) -> Tick {
        Tick::at(Duration::from_millis(millis))
    }

    #[test]
    fn each_event_of_one_that_waits_for_a_place() {
        for (event, action) in [
            (Event::Client(READY), Action::Wait),
            (Event::Client(ENDED), Action::Wait),
            (Event::Client(FAILED), Action::End(End::ClientAborted)),
            (Event::Server(FAILED), Action::Wait),
            (Event::Timer(at(900)), Action::Sleep(at(1000))),
            (Event::Timer(at(1000)), Action::End(End::QueueTimeout)),
            (Event::Cut(Which::All), Action::Wait),
            (Event::Kill, Action::End(End::Killed)),
            (Event::Shutdown, Action::End(End::Shutdown)),
        ] {
            let mut machine = Machine::new(at(0));
            machine.waiting(at(1000));
            assert_eq!(machine.waits(), Waits::Yes);
            assert_eq!(machine.on(event, Some(IDLE)), action, "{event:?}");
        }
        assert_eq!(dialling().waits(), Waits::No);
        assert_eq!(relaying().waits(), Waits::No);
    }

    /// A server is dialled until 1 s.
    fn dialling() -> Machine {
        let mut machine = Machine::new(at(0));
        machine.dialling(at(1000));
        machine
    }

    fn relaying() -> Machine {
        let mut machine = dialling();
        let connected = machine.on(Event::Server(WRITABLE), None);
        assert_eq!(connected, Action::Connected);
        machine
    }

    /// Bytes crossed last at 2 s, in this direction; its first second is over.
    fn settled(last: Flow) -> Machine {
        let mut machine = relaying();
        assert_eq!(
            machine.on(Event::Timer(at(1000)), Some(IDLE)),
            Action::Settle
        );
        machine.crossed(last, at(2000));
        machine
    }

    #[test]
    fn each_event_of_a_dial() {
        for (event, action) in [
            (Event::Client(READY), Action::Wait),
            (Event::Client(WRITABLE), Action::Wait),
            // A half-close is the server's to hear.
            (Event::Client(ENDED), Action::Wait),
            (Event::Client(FAILED), Action::End(End::ClientAborted)),
            (Event::Server(READY), Action::Wait),
            (Event::Server(WRITABLE), Action::Connected),
            (Event::Server(FAILED), Action::Redial(Failure::Refused)),
            (Event::Timer(at(900)), Action::Sleep(at(1000))),
            (Event::Timer(at(1000)), Action::Redial(Failure::TimedOut)),
            (Event::Timer(at(1100)), Action::Redial(Failure::TimedOut)),
            (Event::Cut(Which::All), Action::Wait),
            (Event::Cut(Which::Unanswered), Action::Wait),
            (Event::Kill, Action::End(End::Killed)),
            (Event::Shutdown, Action::End(End::Shutdown)),
        ] {
            assert_eq!(dialling().on(event, Some(IDLE)), action, "{event:?}");
        }
    }

    #[test]
    fn each_event_of_a_relay() {
        use Flow::{Down, Up};
        for (last, idle, event, action) in [
            (Up, None, Event::Client(READY), Action::Turn),
            (Up, None, Event::Client(FAILED), Action::Turn),
            (Up, None, Event::Server(READY), Action::Turn),
            (Up, None, Event::Server(FAILED), Action::Turn),
            (Up, None, Event::Timer(at(99_000)), Action::Wait),
            (
                Up,
                Some(IDLE),
                Event::Timer(at(11_900)),
                Action::Sleep(at(2000).after(IDLE)),
            ),
            (
                Up,
                Some(IDLE),
                Event::Timer(at(2000).after(IDLE)),
                Action::End(End::Idle),
            ),
            (Down, None, Event::Cut(Which::Unanswered), Action::Wait),
            (
                Up,
                None,
                Event::Cut(Which::Unanswered),
                Action::End(End::ServerHung),
            ),
            (
                Down,
                None,
                Event::Cut(Which::All),
                Action::End(End::ServerUnreachable),
            ),
            (Down, None, Event::Kill, Action::End(End::Killed)),
            (Down, None, Event::Shutdown, Action::End(End::Shutdown)),
        ] {
            let got = settled(last).on(event, idle);
            assert_eq!(got, action, "{last:?} {event:?}");
        }
    }

    #[test]
    fn options_of_a_lasting_session_are_set_once() {
        let mut machine = relaying();
        assert_eq!(machine.on(Event::Timer(at(1000)), None), Action::Settle);
        assert_eq!(machine.on(Event::Timer(at(1000)), None), Action::Wait);
    }

    #[test]
    fn only_an_orderly_end_is_no_reset() {
        use Side::{Client, Server};
        let broken = |by, fault| end_of(Over::Broken { by, fault });
        for (end, expected) in [
            (end_of(Over::Closed { first: Client }), End::ClientClosed),
            (end_of(Over::Closed { first: Server }), End::ServerClosed),
            (broken(Client, Fault::Reset), End::ClientReset),
            (broken(Client, Fault::TimedOut), End::ClientGone),
            (broken(Server, Fault::Other), End::ServerReset),
            (broken(Server, Fault::Unreachable), End::ServerGone),
        ] {
            assert_eq!(end, expected);
            assert_eq!(resets(end), !end.is_orderly());
        }
    }
}
