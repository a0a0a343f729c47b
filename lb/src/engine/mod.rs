//! The data path: sessions in a slab, on an edge-triggered epoll, one thread per worker.
//!
//! ```text
//!            Command            clients that others accepted
//!               │                        │
//!             bell ◀─────────────────── crew ◀── hands over ──┐
//!               ▼                                             │
//!   poll ──▶ worker ──▶ listeners (accept in batches) ────────┤
//!               │                                             ▼
//!               └──▶ sessions ──▶ session ──▶ machine (where it stands: pure)
//!                      │  slab        │          └▶ relay (what to carry next: pure)
//!                      │  wheel       └▶ carry (recv, send, splice) ─▶ pending, pipes
//!                      │  queue, line (who waits for a place)
//!                      └──▶ dial (connect) · report (how it was) ──▶ Event
//! ```
//!
//! `docs/life-of-a-connection.md` draws the states and says what an idle connection costs.

mod adopt;
mod bell;
mod carry;
mod compact;
mod crew;
mod dial;
mod dials;
mod ends;
mod entry;
mod freeze;
mod greet;
mod inbox;
#[cfg(test)]
mod inbox_model;
mod kept;
mod line;
mod listeners;
mod load;
mod machine;
mod origin;
mod pace;
mod pending;
mod pipes;
mod poll;
mod relay;
mod report;
mod session;
mod sessions;
mod show;
mod silence;
mod slab;
mod tcp_info;
mod tools;
mod turn;
mod turns;
mod wheel;
mod worker;

mod sync {
    pub(super) use std::sync::atomic::{AtomicBool, Ordering};
    pub(super) use std::sync::{Mutex, PoisonError};
}

pub use crew::Crew;
pub use kept::{Bytes, Kept};
pub use worker::run;
