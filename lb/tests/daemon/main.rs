//! The whole daemon on loopback: the real binary, real sockets, its log and its status.
//!
//! Leaves to the lab: hosts that vanish without a word, addresses that move, real
//! Kubernetes.

#![expect(
    clippy::indexing_slicing,
    clippy::unwrap_used,
    reason = "tests fail by panicking"
)]

mod admission;
mod balance;
mod cluster;
mod control;
mod discovery;
mod failure;
mod families;
mod flood;
mod handover;
mod hostile;
mod leavers;
mod lifecycle;
mod limits;
mod look;
mod many;
mod orders;
mod pattern;
mod places;
mod recall;
mod relay;
mod reload;
mod resets;
mod rig;
mod routes;
mod servers;
mod shortage;
mod stall;
mod start;
mod starved;
mod states;
mod streams;
mod stuck;
mod table;
mod targets;
mod unit;
mod upgrade;
mod waited;
