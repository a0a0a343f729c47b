//! What the ends of a relay amount to.

use super::super::relay::{Fault, Over, Side};
use crate::worker::End;

/// The end that a relay's verdict amounts to.
#[must_use]
pub(in crate::engine) const fn end_of(over: Over) -> End {
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
pub(in crate::engine) const fn resets(end: End) -> bool {
    !end.is_orderly()
}
