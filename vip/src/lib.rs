//! vip-daemon: VRRP with an address that cannot be left behind.
//!
//! ```text
//!            adverts' thread (real-time where allowed)             control runtime
//!  ┌───────────────────────────────────────────────────┐  ┌───────────────────────────┐
//!  linux::Receiver ─adverts─┐                             track ──follow──▶ probe
//!                           ▼                               │
//!                        driver ◀──────── standing ─────── Tracker ◀── release ── status
//!  linux::Monitor ─notices─▶│                                                       ▲
//!                  vrrp::fsm::Router                                                │
//!                           ▼                                                       │
//!                         claim              record (watch) ───────────────────────▶│
//!                           ▼                                                       │
//!                     Effects: linux::Linux                fleet: start, change, stop
//!             (raw socket, netlink, gratuitous ARP)          guard: started, watched
//!  └────────────┬──────────────────────────────────────┘  └─────┬─────────────────────┘
//!               ├─ held, left ─▶ the guard, a process of its own ┘
//!               └─ held, left ─▶ ledger, a file: what is ours after a crash
//! ```
//!
//! `vrrp` says who *should* hold the address, [`claim`] who *may*, [`driver`] performs it
//! through [`driver::Effects`]. Between the threads are bounded queues and `watch`es only.

pub mod ask;
pub mod channel;
pub mod claim;
pub mod cli;
pub mod config;
pub mod driver;
pub mod explain;
pub mod fleet;
pub mod flight;
pub mod guard;
pub mod hand;
pub mod import;
pub mod ledger;
pub mod linux;
pub mod live;
pub mod notify;
pub mod privileges;
pub mod run;
pub mod scripts;
pub mod status;
pub mod sync;
pub mod thread;
pub mod track;
pub mod upgrade;
