//! Several routers on one segment, on a virtual clock.
#![cfg(test)]

mod black_hole;
mod election;
mod network;
#[path = "../numbers/mod.rs"]
mod numbers;
mod strangers;
