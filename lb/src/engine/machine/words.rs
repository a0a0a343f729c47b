//! What can happen to a session, and what its driver is then to do.

use crate::engine::relay::Ready;
use crate::engine::wheel::Tick;
use crate::pool::Failure;
use crate::worker::{End, Which};

/// What happened to a session.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::engine) enum Event {
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
pub(in crate::engine) enum Action {
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

/// Whether a session waits for a place.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::engine) enum Waits {
    /// It is in the line.
    Yes,
    /// A server is dialled or connected.
    No,
}

/// Whether the client of a session was admitted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::engine) enum Admission {
    /// It counts at the gate.
    Given,
    /// It is not known yet.
    Open,
}
