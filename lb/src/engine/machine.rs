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
//! [`crate::pool::Dialling`], who is slow by [`super::pace`]; here is only where the session stands. The whole life is
//! drawn in `docs/life-of-a-connection.md`.

mod again;
mod ends;
mod words;

use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::relay::{Flow, Ready, Relay, Side};
use super::wheel::Tick;
use crate::pool::Failure;
use crate::worker::{End, Stood, Which};

pub(super) use ends::{end_of, resets};
pub(super) use words::{Action, Admission, Event, Waits};

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
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

/// Where one session stands.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
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

    /// Where it stands, as a log says it.
    #[must_use]
    pub(super) const fn stood(&self) -> Stood {
        match self.phase {
            Phase::Header { .. } | Phase::Hello { .. } => Stood::Request,
            Phase::Waiting { .. } => Stood::Queue,
            Phase::Dialling { .. } => Stood::Connect,
            Phase::Silent { .. } | Phase::Relaying { .. } => Stood::Data,
        }
    }

    /// Whether it has a server that has taken the connection.
    #[must_use]
    pub(super) const fn is_connected(&self) -> bool {
        match self.phase {
            Phase::Silent { .. } | Phase::Relaying { .. } => true,
            Phase::Header { .. }
            | Phase::Hello { .. }
            | Phase::Waiting { .. }
            | Phase::Dialling { .. } => false,
        }
    }

    /// Whether its client's first words are waited for.
    #[must_use]
    pub(super) const fn is_listening(&self) -> bool {
        matches!(self.phase, Phase::Hello { .. })
    }

    /// When a session that has a server is to be looked at next, if it is.
    #[must_use]
    pub(super) const fn looks_at(&self) -> Option<Tick> {
        match self.phase {
            Phase::Silent { look, .. } => Some(look),
            Phase::Relaying { settle } => settle,
            Phase::Header { .. }
            | Phase::Hello { .. }
            | Phase::Waiting { .. }
            | Phase::Dialling { .. } => None,
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

    /// Bytes that were read in this direction and not yet written.
    #[must_use]
    pub(super) const fn pending(&self, flow: Flow) -> u32 {
        self.relay.pending(flow)
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

#[cfg(test)]
mod tests;
