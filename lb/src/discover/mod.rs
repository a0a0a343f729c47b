//! Servers that are found besides those of the file: by DNS, or from the cluster itself.
//!
//! ```text
//!   dns ─────┐                              ┌─▶ merge ─▶ roster (checks, workers)
//!   cluster ─┴─Found─▶ control ─▶ Ledger ───┤
//!   (one task per backend)                  └─▶ memory ─▶ a file, for the next start
//! ```
//!
//! What is found is only ever replaced by something better: an answer that fails, is empty,
//! or is none takes no server away. One that does leave is drained: its connections stay,
//! and it is checked until the last of them is over.

mod answer;
mod client;
mod cluster;
mod dns;
mod finder;
mod kubeconfig;
mod ledger;
pub mod memory;
mod merge;
mod slices;

pub use answer::{Answer, Failure, Found};
pub use finder::Finder;
pub use kubeconfig::{Credentials, KubeconfigError};
pub use ledger::{From, Heard, Ledger};

/// Answers that wait for control; whoever has one more waits.
pub const FOUND: usize = 16;

/// The most servers that an answer may name: a control plane has three or five, and one
/// check runs at each.
pub const MOST: usize = 64;
