//! The lab: hosts, faults, probers and scenarios.
//!
//! ```text
//!                segment: a bridge and its hosts (each a network namespace)
//!   scenario ──▶ process: the real binaries on a host ──▶ logs
//!   or demo  ──▶ fault:   kill, cut, pause, one way only …
//!                  │
//!                  ▼ seen by
//!   timeline (netlink: who holds the address) ─▶ holders ─┐
//!   sniffer  (adverts and ARP as values)                  ├─▶ expectations, tables, reports
//!   prober   (1 ms UDP: how long nobody answered)         │
//!   client, watcher (TLS requests and streams)          ──┘
//! ```
//! Everything is stamped on one monotonic clock. Everything a lab makes it removes when it is
//! dropped; what a killed run left is removed by the next ([`netns::sweep`]).

pub mod bench;
pub mod binaries;
mod caught_up;
pub mod client;
pub mod command;
pub mod control_plane;
pub mod daemons;
pub mod endpoint;
pub mod error;
pub mod extension;
pub mod failures;
pub mod fault;
pub mod group;
pub mod harness;
pub mod held_up;
pub mod holders;
pub mod host;
pub mod informer;
pub mod installed;
pub mod load;
pub mod machine;
pub mod memory;
pub mod moments;
pub mod netns;
pub mod prober;
pub mod process;
pub mod registry;
pub mod requirement;
pub mod rig;
pub mod scenario;
pub mod schedule;
pub mod segment;
pub mod signals;
pub mod sniffer;
pub mod stalls;
pub mod stand;
pub mod starved;
pub mod strike;
pub mod timeline;
pub mod tls;
pub mod wait;
pub mod watcher;

pub use error::LabError;

/// Whether namespaces can be made at all.
#[must_use]
pub fn is_root() -> bool {
    nix::unistd::geteuid().is_root()
}
