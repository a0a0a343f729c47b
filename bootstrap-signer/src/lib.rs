//! bootstrap-signer: nodes join by themselves, impostors do not.
//!
//! ```text
//!  bootstrap-signer.yaml ──config──▶ policy::Settings ─┐
//!  nodes.yaml ─────────────inventory──▶ Inventory ─────┤
//!  csr.yaml ───────────────manifest──▶ Submitted, PEM ─┼─▶ policy::explain ──explain──▶ text, JSON
//!  context.yaml ───────────context──▶ Facts, now ──────┘
//! ```
//!
//! What is decided, and why, stands in the crate `policy`; nothing here decides.

pub mod cli;
pub mod config;
pub mod context;
pub mod explain;
pub mod inventory;
pub mod manifest;
