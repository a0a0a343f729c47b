//! Being a good daemon: logs, signals, readiness, `/metrics` and `/status`.
//!
//! ```text
//!                 ┌── Signals ──▶ reload, terminate
//! systemd ◀─ notify                                   the daemon's own
//!                                                     Surface
//! TCP  (GET)  ─┐                                          ▲
//! unix (GET,   ├─▶ Admin ── /livez /readyz /metrics /status, POST /<command>
//!       POST) ─┘      └── Identity: version, since, which config runs
//!
//! CLI ── client ──▶ the unix socket             log ──▶ stderr (text, JSON, journald)
//! ```
//!
//! Nothing here knows what a daemon is for: api-lb, vip-daemon and bootstrap-signer
//! each hand in a [`admin::Surface`].

pub mod admin;
mod chain;
pub mod client;
pub mod exit;
mod identity;
pub mod limit;
pub mod log;
pub mod metrics;
pub mod notify;
pub mod signals;
pub mod table;
pub mod terminal;
pub mod upgrade;

pub use chain::chain;
pub use identity::{Identity, VERSION, rfc3339};
