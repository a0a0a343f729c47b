//! One session as a pure machine: (state, event) → action.
//!
//! ```text
//!   accept ─▶ Hello ─▶ Dialling ──connected──▶ Relaying ──over──▶ End
//!              │        │    ▲                  │    ▲ a byte      ▲
//!              │        │    │ failed, late     │    │             │
//!              │        │    ├──(next server)   ▼    │             │
//!              │        │    └───────────────  Silent (asked)      │
//!              └──none──┴──client gone, no server, cut, kill ──────┘
//! ```
//!
//! What is carried in which order is decided by [`Relay`], which server is dialled by
//! [`crate::pool::Dialling`], who is slow by [`super::pace`]; here is only where the session stands. The whole life, with the
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
    /// Look whether the PROXY header has come.
    LookForHeader,
    /// Read more of the ClientHello.
    Listen,
    /// The ClientHello has not come in time.
    Unheard,
    /// Dial a second server beside this one, if that may be.
    Hedge,
    /// The server was asked then and is silent: see whether another would answer.
    Doubt(Tick),
    /// The server is given up before it has said a byte: another is asked the same.
    Forsake,
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
    /// The PROXY header is still to come, at the latest at the deadline.
    Header { deadline: Tick },
    /// The client's first words are waited for until the deadline.
    Hello { deadline: Tick },
    /// It waits for a place at a server until the deadline.
    Waiting { deadline: Tick },
    /// A server is being dialled until the deadline; from `hedge` on a second one may be.
    Dialling { hedge: Tick, deadline: Tick },
    /// The server was given a whole ClientHello at `asked` and has said nothing. That is
    /// looked into at `look`; the socket options of a lasting session wait for its end.
    Silent { asked: Tick, look: Tick },
    /// Bytes may cross. At `settle` the socket options of a lasting session are set.
    Relaying { settle: Option<Tick> },
}

/// Whether a session waits for a place.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Waits {
    /// It is in the line.
    Yes,
    /// A server is dialled or connected.
    No,
}

/// Whether the client of a session was admitted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Admission {
    /// It counts at the gate.
    Given,
    /// It is not known yet.
    Open,
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
            phase: Phase::Hello { deadline: now },
            relay: Relay::new(),
            unanswered: false,
            active: now,
        }
    }

    /// Its client is not known before a PROXY header, which has time until `deadline`.
    pub(super) const fn expecting_header(&mut self, deadline: Tick) {
        self.phase = Phase::Header { deadline };
    }

    /// Its client is known and may come in.
    pub(super) const fn admitted(&mut self, now: Tick) {
        self.no_longer_waits(now);
    }

    /// Whether nothing has crossed for this long, and nothing is owed: its client can come
    /// anew without losing anything but a watch, which goes on.
    #[must_use]
    pub(super) fn rests(&self, now: Tick, quiet: Duration) -> bool {
        let nothing = [Flow::Up, Flow::Down]
            .into_iter()
            .all(|flow| self.relay.pending(flow) == 0);
        match self.phase {
            Phase::Relaying { .. } => {
                nothing && !self.unanswered && self.active.after(quiet).is_due(now)
            }
            Phase::Header { .. }
            | Phase::Hello { .. }
            | Phase::Waiting { .. }
            | Phase::Dialling { .. }
            | Phase::Silent { .. } => false,
        }
    }

    /// The word for where it stands.
    #[must_use]
    pub(super) const fn stage(&self) -> &'static str {
        match self.phase {
            Phase::Header { .. } => "header",
            Phase::Hello { .. } => "hello",
            Phase::Waiting { .. } => "queue",
            Phase::Dialling { .. } => "dial",
            Phase::Silent { .. } => "asked",
            Phase::Relaying { .. } => "relay",
        }
    }

    /// Whether its client was admitted.
    #[must_use]
    pub(super) const fn admission(&self) -> Admission {
        match self.phase {
            Phase::Header { .. } => Admission::Open,
            Phase::Hello { .. }
            | Phase::Waiting { .. }
            | Phase::Dialling { .. }
            | Phase::Silent { .. }
            | Phase::Relaying { .. } => Admission::Given,
        }
    }

    /// It waits for a place at a server, at most until `deadline`.
    pub(super) const fn waiting(&mut self, deadline: Tick) {
        self.phase = Phase::Waiting { deadline };
    }

    /// It has left the line: a server is dialled, or it ends.
    pub(super) const fn no_longer_waits(&mut self, now: Tick) {
        self.phase = Phase::Dialling {
            hedge: now,
            deadline: now,
        };
    }

    /// Whether it waits for a place.
    #[must_use]
    pub(super) const fn waits(&self) -> Waits {
        match self.phase {
            Phase::Waiting { .. } => Waits::Yes,
            Phase::Header { .. }
            | Phase::Hello { .. }
            | Phase::Dialling { .. }
            | Phase::Silent { .. }
            | Phase::Relaying { .. } => Waits::No,
        }
    }

    /// The client speaks first, and has until `deadline`.
    pub(super) fn listening(&mut self, deadline: Tick) {
        self.phase = Phase::Hello { deadline };
    }

    /// A dial began; a second may begin at `hedge`, and it is given up at `deadline`. So many
    /// bytes of the client wait for the server.
    pub(super) fn dialling(&mut self, hedge: Tick, deadline: Tick, kept: u32) {
        self.phase = Phase::Dialling { hedge, deadline };
        self.relay.restart(kept);
    }

    /// The other of two dials goes on alone until its deadline.
    pub(super) fn goes_on(&mut self, until: Tick) {
        if let Phase::Dialling { hedge, deadline } = &mut self.phase {
            (*hedge, *deadline) = (until, until);
        }
    }

    /// A second dial is thought of again at this tick; returns what to wake up for.
    pub(super) fn hedged(&mut self, again: Tick) -> Option<Tick> {
        let Phase::Dialling { hedge, deadline } = &mut self.phase else {
            return None;
        };
        *hedge = again.min(*deadline);
        Some(*hedge)
    }

    /// The server has a whole ClientHello.
    pub(super) fn asked(&mut self, now: Tick, look: Tick) {
        if let Phase::Relaying { .. } = self.phase {
            self.phase = Phase::Silent { asked: now, look };
        }
    }

    /// The silence was looked into; that is done again at this tick, or never.
    pub(super) fn doubted(&mut self, again: Option<Tick>) {
        if let Phase::Silent { look, .. } = &mut self.phase {
            match again {
                Some(again) => *look = again,
                // The entry in the wheel for the next look is there already.
                None => {
                    let settle = Some(*look);
                    self.phase = Phase::Relaying { settle };
                }
            }
        }
    }

    /// When the server that has not said a byte was asked.
    #[must_use]
    pub(super) const fn silent_since(&self) -> Option<Tick> {
        match self.phase {
            Phase::Silent { asked, .. } => Some(asked),
            Phase::Header { .. }
            | Phase::Hello { .. }
            | Phase::Waiting { .. }
            | Phase::Dialling { .. }
            | Phase::Relaying { .. } => None,
        }
    }

    /// The relay, whose steps are performed once the server is connected.
    pub(super) fn relay(&mut self) -> &mut Relay {
        &mut self.relay
    }

    /// Bytes have crossed in this direction.
    pub(super) fn crossed(&mut self, flow: Flow, now: Tick) {
        self.unanswered = flow == Flow::Up;
        self.active = now;
        if flow == Flow::Down {
            self.doubted(None);
        }
    }

    /// The server has not acknowledged all that the client has sent.
    pub(super) fn owed(&mut self) {
        self.unanswered = true;
    }

    /// What an event asks for. `idle` is the configured idle time of the backend.
    pub(super) fn on(&mut self, event: Event, idle: Option<Duration>) -> Action {
        match (event, self.phase) {
            (Event::Client(ready), phase) => self.on_client(ready, phase),
            (Event::Server(ready), phase) => self.on_server(ready, phase),
            (Event::Timer(now), phase) => self.on_timer(now, phase, idle),
            // A dial is never cut: it fails or times out, and goes on to the next server.
            (
                Event::Cut(_),
                Phase::Header { .. }
                | Phase::Hello { .. }
                | Phase::Waiting { .. }
                | Phase::Dialling { .. },
            ) => Action::Wait,
            (Event::Cut(_), Phase::Silent { .. }) => Action::Forsake,
            (Event::Cut(which), Phase::Relaying { .. }) => self.on_cut(which),
            (Event::Kill, _) => Action::End(End::Killed),
            (Event::Shutdown, _) => Action::End(End::Shutdown),
        }
    }

    fn on_client(&mut self, ready: Ready, phase: Phase) -> Action {
        self.relay.ready(Side::Client, ready);
        match phase {
            Phase::Hello { .. } => Action::Listen,
            // An end of file alone may be a half-close: the server is still to hear of it.
            Phase::Header { .. } | Phase::Waiting { .. } | Phase::Dialling { .. }
                if ready.error =>
            {
                Action::End(End::ClientAborted)
            }
            Phase::Header { .. } => Action::LookForHeader,
            Phase::Waiting { .. } | Phase::Dialling { .. } => Action::Wait,
            Phase::Silent { .. } | Phase::Relaying { .. } => Action::Turn,
        }
    }

    fn on_server(&mut self, ready: Ready, phase: Phase) -> Action {
        match phase {
            // The socket of a dial that has failed is closed before its session waits.
            Phase::Header { .. } | Phase::Hello { .. } | Phase::Waiting { .. } => {
                Action::Wait
            }
            Phase::Dialling { .. } if ready.error => Action::Redial(Failure::Refused),
            Phase::Dialling { .. } if !ready.writable => Action::Wait,
            Phase::Dialling { deadline, .. } => {
                self.phase = Phase::Relaying {
                    settle: Some(deadline),
                };
                self.relay.ready(Side::Server, ready);
                Action::Connected
            }
            Phase::Silent { .. } | Phase::Relaying { .. } => {
                self.relay.ready(Side::Server, ready);
                Action::Turn
            }
        }
    }

    fn on_timer(&mut self, now: Tick, phase: Phase, idle: Option<Duration>) -> Action {
        match phase {
            Phase::Header { deadline } if deadline.is_due(now) => {
                Action::End(End::NoProxyHeader)
            }
            Phase::Hello { deadline } if deadline.is_due(now) => Action::Unheard,
            Phase::Waiting { deadline } if deadline.is_due(now) => {
                Action::End(End::QueueTimeout)
            }
            Phase::Header { deadline }
            | Phase::Hello { deadline }
            | Phase::Waiting { deadline } => Action::Sleep(deadline),
            Phase::Dialling { deadline, .. } if deadline.is_due(now) => {
                Action::Redial(Failure::TimedOut)
            }
            Phase::Dialling { hedge, .. } if hedge.is_due(now) => Action::Hedge,
            Phase::Dialling { hedge, .. } => Action::Sleep(hedge),
            Phase::Silent { asked, look, .. } if look.is_due(now) => Action::Doubt(asked),
            Phase::Silent { look, .. } => Action::Sleep(look),
            Phase::Relaying { settle: Some(at) } if at.is_due(now) => {
                self.phase = Phase::Relaying { settle: None };
                Action::Settle
            }
            Phase::Relaying { settle: Some(at) } => Action::Sleep(at),
            Phase::Relaying { settle: None } => self.on_quiet(now, idle),
        }
    }

    fn on_quiet(&self, now: Tick, idle: Option<Duration>) -> Action {
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
    !end.is_orderly()
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

    #[test]
    fn each_event_of_one_whose_header_is_to_come() {
        for (event, action) in [
            (Event::Client(READY), Action::LookForHeader),
            (Event::Client(ENDED), Action::LookForHeader),
            (Event::Client(FAILED), Action::End(End::ClientAborted)),
            (Event::Server(FAILED), Action::Wait),
            (Event::Timer(at(900)), Action::Sleep(at(1000))),
            (Event::Timer(at(1000)), Action::End(End::NoProxyHeader)),
            (Event::Cut(Which::All), Action::Wait),
            (Event::Kill, Action::End(End::Killed)),
            (Event::Shutdown, Action::End(End::Shutdown)),
        ] {
            let mut machine = Machine::new(at(0));
            machine.expecting_header(at(1000));
            assert_eq!(machine.on(event, Some(IDLE)), action, "{event:?}");
            assert_eq!(machine.admission(), Admission::Open);
            machine.admitted(at(500));
            assert_eq!(machine.admission(), Admission::Given);
        }
    }

    /// A server is dialled until 1 s; from 200 ms on a second one may be.
    fn dialling() -> Machine {
        let mut machine = Machine::new(at(0));
        machine.dialling(at(200), at(1000), 0);
        machine
    }

    /// It was asked at 300 ms, which is looked into at 500 ms.
    fn silent() -> Machine {
        let mut machine = relaying();
        machine.asked(at(300), at(500));
        machine
    }

    #[test]
    fn each_event_of_a_hello() {
        for (event, action) in [
            (Event::Client(READY), Action::Listen),
            (Event::Client(ENDED), Action::Listen),
            (Event::Client(FAILED), Action::Listen),
            (Event::Server(WRITABLE), Action::Wait),
            (Event::Timer(at(296)), Action::Sleep(at(300))),
            (Event::Timer(at(300)), Action::Unheard),
            (Event::Cut(Which::All), Action::Wait),
            (Event::Kill, Action::End(End::Killed)),
            (Event::Shutdown, Action::End(End::Shutdown)),
        ] {
            let mut machine = Machine::new(at(0));
            machine.listening(at(300));
            assert_eq!(machine.on(event, Some(IDLE)), action, "{event:?}");
        }
    }

    #[test]
    fn each_event_of_a_silence() {
        for (event, action) in [
            (Event::Client(READY), Action::Turn),
            (Event::Server(READY), Action::Turn),
            (Event::Server(FAILED), Action::Turn),
            (Event::Timer(at(496)), Action::Sleep(at(500))),
            (Event::Timer(at(500)), Action::Doubt(at(300))),
            (Event::Cut(Which::All), Action::Forsake),
            (Event::Cut(Which::Unanswered), Action::Forsake),
            (Event::Kill, Action::End(End::Killed)),
            (Event::Shutdown, Action::End(End::Shutdown)),
        ] {
            assert_eq!(silent().on(event, Some(IDLE)), action, "{event:?}");
        }
    }

    #[test]
    fn a_silence_ends_with_the_first_byte_or_when_nobody_looks_any_more() {
        let mut machine = silent();
        assert_eq!(machine.silent_since(), Some(at(300)));
        machine.crossed(Flow::Up, at(400));
        assert_eq!(machine.silent_since(), Some(at(300)));
        machine.crossed(Flow::Down, at(400));
        assert_eq!(machine.silent_since(), None);
        assert_eq!(machine.on(Event::Timer(at(500)), None), Action::Settle);

        let mut machine = silent();
        machine.doubted(Some(at(2000)));
        assert_eq!(
            machine.on(Event::Timer(at(1000)), None),
            Action::Sleep(at(2000))
        );
        machine.doubted(None);
        assert_eq!(machine.silent_since(), None);
        assert_eq!(machine.on(Event::Timer(at(2000)), None), Action::Settle);
        assert_eq!(machine.on(Event::Timer(at(2000)), None), Action::Wait);
    }

    #[test]
    fn a_second_dial_is_thought_of_once_or_again_and_never_after_the_deadline() {
        let hedge = Event::Timer(at(200));
        let mut machine = dialling();
        assert_eq!(machine.on(hedge, None), Action::Hedge);
        assert_eq!(machine.hedged(at(240)), Some(at(240)));
        assert_eq!(machine.on(hedge, None), Action::Sleep(at(240)));
        assert_eq!(machine.on(Event::Timer(at(240)), None), Action::Hedge);
        assert_eq!(machine.hedged(at(60_000)), Some(at(1000)));
        assert_eq!(machine.on(hedge, None), Action::Sleep(at(1000)));
        let late = machine.on(Event::Timer(at(1000)), None);
        assert_eq!(late, Action::Redial(Failure::TimedOut));
        // The second one took the first one's place, and has longer.
        machine.goes_on(at(1200));
        let late = machine.on(Event::Timer(at(1000)), None);
        assert_eq!(late, Action::Sleep(at(1200)));
        assert_eq!(relaying().hedged(at(240)), None);
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
            (Event::Timer(at(196)), Action::Sleep(at(200))),
            (Event::Timer(at(200)), Action::Hedge),
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
    fn what_is_owed_counts_as_unanswered() {
        let mut machine = settled(Flow::Down);
        machine.owed();
        let cut = machine.on(Event::Cut(Which::Unanswered), None);
        assert_eq!(cut, Action::End(End::ServerHung));
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
