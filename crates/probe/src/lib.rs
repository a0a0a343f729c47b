//! One health check, and every way it can end.
//!
//! ```text
//!   Check + Target + timeout ──▶ run ──▶ connect ──▶ handshake ──▶ request ──▶ body
//!                                 │         │            │            │          │
//!                                 ▼         └────────────┴── Progress ┴──────────┘
//!                              Report { Outcome, took }      (stage, a byte heard?)
//!                                 │
//!             Outcome::reach ─────┤
//!                                 ▼
//!                         Tally (rise, fall) ──▶ Verdict
//! ```
//!
//! A check is a real handshake and a real request, bounded as a whole by one timeout and
//! closed properly (`close_notify`, then read to the end), so that the server it asks
//! has nothing to log. The crate keeps no state between two checks but the one of
//! rustls (session resumption, in [`Tls`]) and the one the caller keeps in a [`Tally`].
//!
//! The `tcp` check cannot be silent: it opens a connection and says nothing, and a TLS
//! server logs that as a handshake that ended early. Ask a Kubernetes API server with
//! `https`.

#![forbid(unsafe_code)]

mod check;
mod connect;
mod exchange;
mod open;
mod outcome;
mod run;
mod tally;
mod tls;
mod wire;

pub use check::{
    Check, Http, Https, RequestError, Secrecy, Statuses, StatusesError, Target,
};
pub use open::{Secured, open};
pub use outcome::{Heard, LocalFault, Outcome, Reach, Stage, Untrusted};
pub use run::{Report, run};
pub use tally::{Tally, Verdict};
pub use tls::{Identity, Tls, TlsError, Trust};
