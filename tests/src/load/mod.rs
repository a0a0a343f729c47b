//! Load for proxies, and servers for it, on sockets of one machine.
//!
//! ```text
//!   closed (so many connections, each waits) ─┐
//!   secure (the same, each with a handshake)  ─┤
//!   open   (by the clock, never waits)       ─┼─▶ the proxy, or nothing ─▶ backend
//!   bulk   (as much as goes)                 ─┤
//!   crowd  (idle ones, or all at once)       ─┘
//! ```
//! Threads are pinned by their caller. What is measured of the proxy itself is in [`usage`].

pub mod backend;
pub mod bulk;
pub mod closed;
pub mod crowd;
pub mod histogram;
pub mod open;
pub mod poll;
pub mod secure;
pub mod socket;
pub mod usage;
